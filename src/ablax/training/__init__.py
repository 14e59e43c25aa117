"""One training loop for CPU, GPU and TPU: state, step, dataset, loop, checkpoints, metrics."""

from ablax.lazy import lazily

__getattr__, __dir__ = lazily(__name__)

del lazily
