"""Data sets as arrays, random distortions as pure functions, and a stream for sets too large."""

from ablax.lazy import lazily

__getattr__, __dir__ = lazily(__name__)

del lazily
