"""What experiments measure beside the test error: each a function of a network and its images."""

from ablax.lazy import lazily

__getattr__, __dir__ = lazily(__name__)

del lazily
