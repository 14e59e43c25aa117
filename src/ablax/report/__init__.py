"""From the runs of an experiment to what one shows in a lecture.

`results` holds the values, `statistics`, `flatness` and `verdict` what follows from them, `tables`
and `plots` how it looks, `page` the finished report.
"""

from ablax.lazy import lazily

__getattr__, __dir__ = lazily(__name__)

del lazily
