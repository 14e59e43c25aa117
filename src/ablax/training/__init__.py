"""One training loop for CPU, GPU and TPU: state, step, dataset, loop, checkpoints, metrics."""
