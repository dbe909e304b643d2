"""Batches in shards and several workers: what they cost, and what more of them would give."""
