"""Training: `trainer` is what users call, `loop` is the training loop, `stepper` makes one step.

A step reaches the core in `stepper` alone. A run begins in `beginning`, ends in `ending`, and
leaves behind what `record` holds.
"""
