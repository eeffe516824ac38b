"""One schema, many readers: samples, pages of reference, figures, and what two releases differ in.

A front door of its own, because a program that only reads its configuration needs none of it.
"""

from bedplate.config.readers.diff import Difference as Difference
from bedplate.config.readers.diff import Facet as Facet
from bedplate.config.readers.diff import Gone as Gone
from bedplate.config.readers.diff import Renamed as Renamed
from bedplate.config.readers.diff import concerning as concerning
from bedplate.config.readers.diff import difference as difference
from bedplate.config.readers.diff import written as written
from bedplate.config.readers.diff_text import difference_data as difference_data
from bedplate.config.readers.diff_text import difference_markdown as difference_markdown
from bedplate.config.readers.diff_text import difference_text as difference_text
from bedplate.config.readers.pages import page_markdown as page_markdown
from bedplate.config.readers.pages import page_rst as page_rst
from bedplate.config.readers.sample import sample_ini as sample_ini
from bedplate.config.readers.sample import sample_toml as sample_toml
from bedplate.config.readers.stats import Count as Count
from bedplate.config.readers.stats import count as count
from bedplate.config.readers.stats import counts_csv as counts_csv
from bedplate.config.readers.stats import counts_svg as counts_svg
from bedplate.config.readers.stats import counts_text as counts_text

__all__ = [
    "Count",
    "Difference",
    "Facet",
    "Gone",
    "Renamed",
    "concerning",
    "count",
    "counts_csv",
    "counts_svg",
    "counts_text",
    "difference",
    "difference_data",
    "difference_markdown",
    "difference_text",
    "page_markdown",
    "page_rst",
    "sample_ini",
    "sample_toml",
    "written",
]
