"""Training: `trainer` is what users call, `loop` is the training loop, `stepper` makes one step.

A step reaches the core in `stepper` alone. A run begins in `beginning` and ends in `ending`; what
it writes down for later, `record` reads and writes.
"""
