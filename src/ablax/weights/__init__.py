"""Weights of other libraries: their files, names, layouts, and preparation of images."""

from ablax.lazy import lazily

__getattr__, __dir__ = lazily(__name__)

del lazily
