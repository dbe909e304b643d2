"""What `python -m benchmarks.serving` is made of: services, their servers, and a client."""
