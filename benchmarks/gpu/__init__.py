"""What is to be known of a GPU, in one script of at most ten minutes: `benchmarks/gpu.sh`."""
