"""`robotrain platforms`: what each platform supports."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Annotated, Any

import typer
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.check.matrix import MatrixRow, ParityMatrix, make_matrix
from robotrain.cli import output
from robotrain.cli.arguments import JsonOption, argument, complete_platforms
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.missing_plugins import load_named_plugin
from robotrain.cli.options import format_metavar, format_option_help
from robotrain.cli.output import format_table, print_json, print_message, print_problems, print_result
from robotrain.cli.table import GAP, Column, fit_columns, wrap_text
from robotrain.config.values import Origin
from robotrain.messages import Messages
from robotrain.model.capabilities import FEATURES, LIMITS
from robotrain.model.platform import Platform
from robotrain.model.support import ANY, Support

make_problem = Messages(__file__)


def platforms(
    ctx: typer.Context,
    name: Annotated[
        str,
        argument("[PLATFORM]", "Show one platform, with reasons, alternatives and its settings.", complete_platforms),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Show what each platform supports, as it declares it.

    robotrain platforms PLATFORM
    """
    installed = get_plugins(ctx)
    named_platforms = {name: load_named_plugin(installed, "platform", name, Origin("argument"))} if name else {}
    all_platforms = installed.platforms()  # loads all: a source kind of any plugin is a row
    shown_platforms = named_platforms or all_platforms
    matrix = make_matrix(shown_platforms, installed.source_kinds(), installed.workloads())
    exclusion_lines = (
        line for exclusion in matrix.exclusions for line in wrap_text(exclusion, output.get_table_width())
    )
    common_lines = ("", *exclusion_lines) if matrix.exclusions else ()  # rules that hold on every platform
    print_problems(failure.make_problem(severity="warning") for failure in installed.failures.values())
    if json:
        settings = {
            platform_name: [
                {"name": p.name, "flag": p.flag, "default": p.default, "env": _list_variables(p), "help": p.param.help}
                for p in get_parameters(platform.settings)
            ]
            for platform_name, platform in shown_platforms.items()
        }
        print_json({**_dump_matrix(matrix), "settings": settings})
    elif name:
        print_result(f"{name}: {shown_platforms[name].summary}\n")
        print_result("\n".join((format_table([*list_reasons(matrix, name)]), *common_lines)))
        print_result("\n".join(_format_settings(shown_platforms[name])))
    else:
        table = format_matrix(matrix, output.get_table_width())
        print_result("\n".join((table, *common_lines)))
        print_message("`robotrain platforms PLATFORM` shows reasons and alternatives")


def _dump_matrix(matrix: ParityMatrix) -> dict[str, Any]:
    """Return the matrix as data; each list is in the order of the platforms; the keys are an API."""
    rows = [
        {
            "what": format_row_name(row),
            "section": row.section,
            **row.names,
            "support": [
                {"level": cell.level, "reason": cell.reason, "instead": cell.suggestion}
                for cell in map(row.cells.__getitem__, matrix.platforms)
            ],
        }
        for row in matrix.rows
    ]
    limits = [
        {
            "name": limit.name,
            "means": LIMITS.get(limit.name, ""),
            "numbers": [limit.numbers[platform] for platform in matrix.platforms],
        }
        for limit in matrix.limits
    ]
    return {"platforms": [*matrix.platforms], "rows": rows, "limits": limits, "apart": [*matrix.exclusions]}


def _format_settings(platform: Platform) -> Iterator[str]:
    rows = [
        (f"{parameter.flag} {'' if parameter.is_switch else format_metavar(parameter)}", format_option_help(parameter))
        for parameter in get_parameters(platform.settings)
    ]
    if rows:
        yield f"\nsettings (in a job file: platforms.{platform.name})\n"
        yield format_table(rows)


ANY_KIND_TITLE, ANY_WORKLOAD_TITLE = "any other kind", "any other workload"


def format_row_name(row: MatrixRow) -> str:
    """Return the name of a row, with ANY as it is declared."""
    row_names = row.names
    if row.section == "sources":
        return f"{row_names['role']} {'to' if row_names['role'] == 'publish' else 'from'} {row_names['kind']}"
    if row.section == "combinations":
        kind, other_kind = row_names["kind"], row_names["other"]
        return f"several datasets from {kind}" if kind == other_kind else f"datasets from {kind} and {other_kind}"
    ((name, value),) = row_names.items()
    return f"{name} {value}"


def format_row_title(row: MatrixRow) -> str:
    """Return the name of a row for people."""
    if row.names.get("workload") == ANY:
        return ANY_WORKLOAD_TITLE
    return format_row_name(row).replace(f" {ANY}", f" {ANY_KIND_TITLE}")


def format_level(support: Support) -> str:
    """Return a level of support in words."""
    return support.level.replace("_", " ")


def _list_limits(matrix: ParityMatrix, platform: str) -> list[str]:
    """Return a platform's limits in words."""
    return ["no limit" if (number := limit.numbers[platform]) is None else str(number) for limit in matrix.limits]


MatrixLine = tuple[str, str, list[str]]
"""The section and the title of a row, and its cells in the order of the platforms."""


def format_matrix(matrix: ParityMatrix, max_width: int | None) -> str:
    """Return the matrix as text: first the rows in which platforms differ, then the others, in one column.

    Platforms that do not fit side by side go to a further table.
    """
    matrix_lines: list[MatrixLine] = [
        (row.section, format_row_title(row), [format_level(row.cells[platform]) for platform in matrix.platforms])
        for row in matrix.rows
    ]
    limits = [_list_limits(matrix, platform) for platform in matrix.platforms]
    matrix_lines += [
        ("limits", f"limit {limit.name}", [*cells]) for limit, *cells in zip(matrix.limits, *limits, strict=True)
    ]
    differing_lines = [matrix_line for matrix_line in matrix_lines if len({*matrix_line[2]}) > 1]
    equal_lines = [matrix_line for matrix_line in matrix_lines if len({*matrix_line[2]}) == 1]
    parts = [*_split_to_width(*_make_columns(differing_lines, matrix.platforms), max_width)] if differing_lines else []
    if equal_lines:
        titles, columns = _make_columns(equal_lines, ["all"])
        parts.append([titles, *columns])
    return "\n\n".join("\n".join("  ".join(cells).rstrip() for cells in fit_columns(part, None)) for part in parts)


def _make_columns(lines: Sequence[MatrixLine], names: Sequence[str]) -> tuple[Column, list[Column]]:
    """Return the column of titles and a column of cells for each name, with an empty line between sections."""
    spaced_lines: list[MatrixLine] = []
    for _, section in groupby(lines, key=lambda line: line[0]):
        spaced_lines += [("", "", [""] * len(names)), *section]
    cells = [Column(name, [line[2][index] for line in spaced_lines[1:]]) for index, name in enumerate(names)]
    return Column("", [title for _, title, _ in spaced_lines[1:]]), cells


def list_reasons(matrix: ParityMatrix, platform: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, level and reason of each row of one platform; a repeated reason refers to its first row."""
    titles_by_support: dict[Support, str] = {}
    for row in matrix.rows:
        support, title = row.cells[platform], format_row_title(row)
        first_title = titles_by_support.setdefault(support, title)
        is_repeated = support.level in ("no", "not_yet") and first_title != title
        yield title, format_level(support), f"as {first_title}" if is_repeated else _format_remark(row, support)
    for limit, number in zip(matrix.limits, _list_limits(matrix, platform), strict=True):
        yield f"limit {limit.name}", number, LIMITS.get(limit.name, "")


def _split_to_width(title_column: Column, columns: Sequence[Column], max_width: int | None) -> Iterator[list[Column]]:
    part, free_columns = [title_column], (max_width or 0) - title_column.width
    for column in columns:
        free_columns -= GAP + column.width
        if max_width is not None and free_columns < 0 and len(part) > 1:
            yield part
            part = [title_column]
            free_columns = max_width - title_column.width - GAP - column.width
        part.append(column)
    yield part


def _format_remark(row: MatrixRow, support: Support) -> str:
    """Return the reason and the alternative, or what a supported feature is."""
    if support:
        return support.reason or FEATURES.get(row.names.get("feature", ""), "")
    return f"{support.reason} Instead: {support.suggestion}." if support.suggestion else support.reason


def _list_variables(parameter: Parameter) -> list[str]:
    """Return the variables that give a parameter; a patch is given on the line only."""
    return [] if parameter.param.form == "patch" else list(parameter.env)


app = make_app(platforms)
