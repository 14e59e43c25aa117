"""The analyses for our networks: costs, receptive fields, pictures, profiles, the drawn page."""

from ablax.lazy import lazily

__getattr__, __dir__ = lazily(__name__)

del lazily
