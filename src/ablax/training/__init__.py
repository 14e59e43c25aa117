"""One training loop for CPU, GPU and TPU: state, step, feed, loop, checkpoints, metrics."""
