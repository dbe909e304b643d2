"""Measurements: `layers` (micro, one kernel) and `networks` (macro, against peers).

Speed claims of this project are ratios against a peer in one run; docs/results.md names the
commands.
"""
