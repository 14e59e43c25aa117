"""ablax: a laboratory for convolutional networks on JAX.

One door: `import ablax` gives all that is named in `__init__.pyi` beside this file, and imports
each name when it is first used.

    >>> import ablax
    >>> network = ablax.remove("f6")(ablax.zoo.lenet5())
    >>> ablax.count_parameters(network, (32, 32, 1))
    51902
"""

from ablax.lazy import lazily

__version__ = "0.1.0"

__getattr__, __dir__ = lazily(__name__)

del lazily
