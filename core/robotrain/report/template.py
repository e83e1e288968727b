"""The templates of the pages, in which all values are escaped."""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2

from robotrain import __version__
from robotrain.model.amounts import format_time
from robotrain.model.scores import format_number
from robotrain.redaction import redact
from robotrain.report.charts import MAX_LINES, SMALL, Points, find_scale_end, make_chart, make_sparkline
from robotrain.store.run_differences import NOT_SET
from robotrain.store.written_files import GENERATOR

MAX_TEXT = 1000
CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
"""What a browser may load for a page: only what is in it."""
NUMBER = re.compile(r"[-+]?([0-9][0-9.,:]*(e[-+]?[0-9]+)?( ?(%|[a-zA-Z]{1,3}))?|nan|inf)")
"""The text of a number, perhaps with its unit."""
FIRST_ROWS, FIRST_BARS, FIRST_PLOTS, FIRST_CARDS = 50, 12, 3, 20
"""How many are visible at once; the others are in a part that can be opened."""


def render_template(
    name: str,
    title: str,
    written_time: float,
    run_pages: Mapping[str, str] | None = None,
    package: str = "robotrain.report",
    **values: Any,
) -> str:
    """Return a page that needs no network; light or dark as the reader's system.

    :param run_pages: the file of the page of each run that has one in the same folder.
    :param package: the package whose folder `templates` has the template; it may extend and import those of reports.
    """
    template = _get_environment(package).get_template(name)
    return template.render(title=title, written=written_time, run_pages=run_pages or {}, **values)


def redact_text(text: str) -> str:
    """Return a text of a log, file or platform without secrets."""
    return redact(text, max_length=MAX_TEXT)


def drop_empty_columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the head and the rows of a table without columns that have no value; nothing if there are no rows."""
    listed_rows = list(rows)
    column_indexes = [index for index in range(len(head)) if any(row[index] for row in listed_rows)]
    return [[row[index] for index in column_indexes] for row in (head, *listed_rows)] if listed_rows else []


def find_number_columns(rows: Sequence[Sequence[str]]) -> set[int]:
    """Return the columns of a table whose cells are numbers, which are aligned at their right."""
    return {
        index
        for index, cells in enumerate(zip(*rows, strict=True))
        if any(cells) and all(NUMBER.fullmatch(cell) for cell in cells if cell not in ("", NOT_SET))
    }


def split_constant(series: Mapping[str, Points]) -> tuple[dict[str, Points], dict[str, float]]:
    """Return the series that change, and the values of those that do not."""
    moving_series = {name: points for name, points in series.items() if len({value for _, value in points}) > 1}
    return moving_series, {
        name: points[-1][1] for name, points in series.items() if points and name not in moving_series
    }


@functools.cache
def _get_environment(package: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([*map(jinja2.PackageLoader, dict.fromkeys((package, "robotrain.report")))]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions: list[Callable[..., Any]] = [drop_empty_columns, find_number_columns, find_scale_end, format_time]
    functions += [format_number, make_chart, make_sparkline, redact_text, split_constant]
    environment.globals |= {function.__name__: function for function in functions}
    environment.globals |= {"version": __version__, "content_policy": CONTENT_POLICY, "generator": GENERATOR}
    environment.globals |= {"FIRST_ROWS": FIRST_ROWS, "FIRST_BARS": FIRST_BARS, "SMALL": SMALL}
    environment.globals |= {"FIRST_PLOTS": FIRST_PLOTS, "FIRST_CARDS": FIRST_CARDS, "FIRST_LINES": MAX_LINES}
    environment.globals["style"] = files("robotrain.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    return environment
