"""What `python -m benchmarks.bulk` is made of."""
