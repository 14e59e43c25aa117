"""An experiment under a recipe, from the plan to its folder of results."""

from ablax.lazy import lazily

__getattr__, __dir__ = lazily(__name__)

del lazily
