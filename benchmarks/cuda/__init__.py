"""Parts of `python -m benchmarks.cuda_report`: counts, what ptxas says, and the estimate."""
