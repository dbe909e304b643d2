"""Parts of `python -m benchmarks.compare`: rows, their processes, agreement, goals, the report."""
