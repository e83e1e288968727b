"""The parity matrix as Markdown: a table a section, and below them why each no is one, numbered as in the tables."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from robotrain.capabilities import FEATURES, LIMITS
from robotrain.cli.matrix_table import level, number, titled

if TYPE_CHECKING:
    from robotrain.capabilities import Support
    from robotrain.matrix import Matrix, Row

HEADS: Mapping[str, str] = {
    "sources": "What data and policies come from, and where checkpoints go",
    "combinations": "Datasets of two kinds in one job",
    "workloads": "Workloads",
    "features": "Features",
}
LEGEND = """\
- **yes**: it works.
- **not yet** and **no**: such a job is refused before anything is sent; the number leads to the reason and the way out.
- **unknown**: the platform does not say; such a job is refused too."""

Notes = dict[tuple[str, str], int]
"""The number of each reason with its way out; equal ones have one number."""


def page(matrix: "Matrix") -> str:
    """All of it. The same declarations give the same text."""
    notes: Notes = {}
    parts = [LEGEND]
    for section, head in HEADS.items():
        rows = [row for row in matrix.rows if row.section == section]
        cells = [[_named(row), *(_cell(row.cells[at], notes) for at in matrix.platforms)] for row in rows]
        parts += [f"## {head}", _table(["", *matrix.platforms], cells)]
        parts += map(_plain, matrix.apart if section == "combinations" else ())
    numbers = [
        [LIMITS.get(limit.name, limit.name), *(number(limit, at) for at in matrix.platforms)] for limit in matrix.limits
    ]
    parts += ["## Limits", _table(["at most", *matrix.platforms], numbers)]
    if notes:
        parts += ["## Reasons, and ways out", "\n".join(_listed(notes))]
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _named(row: "Row") -> str:
    """A row's title, its names as code; of a feature what it is."""
    text = titled(row)
    for name in row.names.values():
        text = re.sub(rf"(?<![\w`]){re.escape(name)}(?![\w`])", f"`{name}`", text)
    means = FEATURES.get(row.names.get("feature", ""), "")
    return f"{text.removeprefix('feature ').removeprefix('workload ')}{f': {means}' if means else ''}"


def _cell(support: "Support", notes: Notes) -> str:
    if support or support.level == "unknown":
        return level(support)
    note = notes.setdefault((support.reason, support.instead), len(notes) + 1)
    return f"{level(support)} ({note})"


def _listed(notes: Notes) -> Iterator[str]:
    for (reason, instead), note in notes.items():
        way = f" Instead: {_way(instead)}." if instead else ""
        yield f"{note}. {_plain(reason)}{way}"


def _way(instead: str) -> str:
    """What can be typed as code; anything else is a sentence."""
    return f"`{instead}`" if instead.startswith(("-", "robotrain ")) else _plain(instead)


def _plain(text: str) -> str:
    """A sentence that Markdown leaves as it is, its options as code."""
    parts = re.split(r"(--[a-z][a-z-]*(?: [A-Z]+)?)", text)
    return "".join(f"`{part}`" if index % 2 else _escaped(part) for index, part in enumerate(parts))


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)
