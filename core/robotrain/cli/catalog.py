"""`robotrain platforms`: what each platform takes and can do, as it declares it."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli import named, terminal
from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.output import report, say, show, show_json, table
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.provenance import Origin

if TYPE_CHECKING:
    from robotrain.matrix import Matrix

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def platforms(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="[PLATFORM]",
            help="One platform, with reasons, ways out and its settings.",
            show_default=False,
            autocompletion=named.beginning("platform"),
        ),
    ] = "",
    json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, with the reason for each no.")] = False,
) -> None:
    """What each platform takes and can do, as it declares it."""
    from robotrain import matrix
    from robotrain.cli import matrix_page, matrix_table

    found = plugins_of(ctx)
    one = {name: named.one(found, "platform", name, Origin("argument"))} if name else {}
    every = found.platforms()  # a kind that one of them brings is a row of all
    chosen = one or every
    made = matrix.of(chosen, found.source_kinds(), found.workloads())
    report(failure.problem(severity="warning") for failure in found.failures.values())
    if json and markdown:
        raise Rejected([_both()])
    if json:
        settings = {one: [*_settings(platform)] for one, platform in chosen.items()}
        show_json({**_as_data(made), "settings": settings})
    elif markdown:
        show(matrix_page.page(made))
    elif name:
        show(f"{name}: {chosen[name].summary}\n")
        show("\n".join((table([*matrix_table.reasons(made, name)]), *_apart(made))))
        show("\n".join(_settings_told(chosen[name])))
    else:
        show("\n".join((matrix_table.table(made, terminal.columns(sys.stdout)), *_apart(made))))
        say("robotrain platforms PLATFORM tells why, and what to do instead")


def _as_data(matrix: "Matrix") -> dict[str, Any]:
    """The matrix as data, each list of answers in the order of the platforms; the keys are an API."""
    from robotrain.capabilities import LIMITS
    from robotrain.cli import matrix_table

    rows = [
        {
            "what": matrix_table.what(row),
            "section": row.section,
            **row.names,
            "support": [
                {"level": cell.level, "reason": cell.reason, "instead": cell.instead}
                for cell in map(row.cells.__getitem__, matrix.platforms)
            ],
        }
        for row in matrix.rows
    ]
    limits = [
        {"name": one.name, "means": LIMITS.get(one.name, ""), "numbers": [one.numbers[at] for at in matrix.platforms]}
        for one in matrix.limits
    ]
    return {"platforms": [*matrix.platforms], "rows": rows, "limits": limits, "apart": [*matrix.apart]}


def _apart(matrix: "Matrix") -> Iterator[str]:
    """What holds on every platform, below the answers of each."""
    yield from ("", *matrix.apart) if matrix.apart else ()


def _both() -> Problem:
    return Problem(
        code="usage",
        stage=Stage.USAGE,
        title="--json and --markdown are two forms of one answer",
        instead=(Instead("--json"), Instead("--markdown")),
    )


def _settings(platform: Any) -> Iterator[dict[str, Any]]:
    """Each setting as data; the keys are an API."""
    from robotrain_runtime.parameter import parameters_of

    for one in parameters_of(platform.settings):
        yield {"name": one.name, "flag": one.flag, "default": one.default, "env": list(one.env), "help": one.param.help}


def _settings_told(platform: Any) -> Iterator[str]:
    """Its settings as people type them."""
    from robotrain_runtime.parameter import parameters_of

    from robotrain.cli.job.options import help_of, metavar_of

    rows = [
        (f"{one.flag} {'' if one.switch else metavar_of(one)}", help_of(one))
        for one in parameters_of(platform.settings)
    ]
    if rows:
        yield f"\nsettings, in a job file below platforms.{platform.name}\n"
        yield table(rows)


app = make_app(platforms)
