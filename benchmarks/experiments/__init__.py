"""What `benchmarks.paper` is made of: experiments, networks, trainings and tables."""
