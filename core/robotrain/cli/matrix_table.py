"""The parity matrix for people: a table of levels that fits the terminal, and one platform with its reasons."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from robotrain.capabilities import ANY, FEATURES, LIMITS
from robotrain.cli.columns import GAP, Column, fitted

if TYPE_CHECKING:
    from robotrain.capabilities import Support
    from robotrain.matrix import Limit, Matrix, Row

ANY_KIND, ANY_WORKLOAD = "any other kind", "any other workload"


def what(row: "Row") -> str:
    """A row in a few words; ANY stands in them as it is declared."""
    names = row.names
    if row.section == "sources":
        return f"{names['role']} {'to' if names['role'] == 'publish' else 'from'} {names['kind']}"
    if row.section == "combinations":
        one, other = names["kind"], names["other"]
        return f"several datasets from {one}" if one == other else f"datasets from {one} and {other}"
    ((name, value),) = names.items()
    return f"{name} {value}"


def titled(row: "Row") -> str:
    """The same for people."""
    if row.names.get("workload") == ANY:
        return ANY_WORKLOAD
    return what(row).replace(f" {ANY}", f" {ANY_KIND}")


def level(support: "Support") -> str:
    """One answer in a word or two."""
    return support.level.replace("_", " ")


def number(limit: "Limit", platform: str) -> str:
    """A limit, or that there is none."""
    found = limit.numbers[platform]
    return "no limit" if found is None else str(found)


def table(matrix: "Matrix", within: int | None) -> str:
    """Every platform. Those that do not fit beside each other within a terminal stand in tables below each other."""
    titles = _spaced(matrix, [titled(row) for row in matrix.rows], [f"limit {limit.name}" for limit in matrix.limits])
    columns = [_column(matrix, platform) for platform in matrix.platforms]
    parts = _parts(Column("", titles), columns, within)
    return "\n\n".join("\n".join("  ".join(cells).rstrip() for cells in fitted(part, None)) for part in parts)


def reasons(matrix: "Matrix", platform: str) -> Iterator[tuple[str, str, str]]:
    """Each row of one platform: what it is, the answer, and why. A reason is told once, and referred to then."""
    first: dict[Support, str] = {}
    for row in matrix.rows:
        support, title = row.cells[platform], titled(row)
        known = first.setdefault(support, title)
        again = support.level in ("no", "not_yet") and known != title
        yield title, level(support), f"as {known}" if again else _remark(row, support)
    for limit in matrix.limits:
        yield f"limit {limit.name}", number(limit, platform), LIMITS.get(limit.name, "")


def _column(matrix: "Matrix", platform: str) -> Column:
    cells = [level(row.cells[platform]) for row in matrix.rows]
    return Column(platform, _spaced(matrix, cells, [number(limit, platform) for limit in matrix.limits]))


def _spaced(matrix: "Matrix", of_rows: Sequence[str], of_limits: Sequence[str]) -> list[str]:
    """One column, an empty cell between two sections."""
    rows = zip(matrix.rows, of_rows, strict=True)
    sections = [[cell for _, cell in part] for _, part in groupby(rows, key=lambda each: each[0].section)]
    return [cell for section in (*sections, of_limits) for cell in ("", *section)][1:]


def _parts(first: Column, columns: Sequence[Column], within: int | None) -> Iterator[list[Column]]:
    part, left = [first], (within or 0) - first.width
    for column in columns:
        left -= GAP + column.width
        if within is not None and left < 0 and len(part) > 1:
            yield part
            part, left = [first], within - first.width - GAP - column.width
        part.append(column)
    yield part


def _remark(row: "Row", support: "Support") -> str:
    """Why not, and what to do instead; of a feature that is there, what it is."""
    if support:
        return support.reason or FEATURES.get(row.names.get("feature", ""), "")
    return f"{support.reason} Instead: {support.instead}." if support.instead else support.reason
