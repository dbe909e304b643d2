"""Measurements: `nin` (each layer against the machine's limit) and `compare` (against peers).

Speed claims of this project are ratios against a peer in one run; docs/results.md names the
commands.
"""
