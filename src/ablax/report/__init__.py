"""From the runs of an experiment to what one shows in a lecture.

`study` holds the values, `statistics` and `verdict` what follows from them; `tables` and `figures`
are the kit of everything that is shown, `study_tables` and `plots` what a report shows, `page` the
finished report.
"""

from ablax.lazy import lazily

__getattr__, __dir__ = lazily(__name__)

del lazily
