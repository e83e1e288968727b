"""Start-up: each command against a floor, in paired runs; the least processor time of each, and their ratio.

    ./uvw run python bench/startup.py [--pairs 15] [--attempts 1]

The floors are programs that only import what a command cannot do without. The ceilings are there to be used: below them
the plainer code wins. --attempts: while a figure is above its ceiling, run twice as many pairs as before, at most so
many times; the least of all runs counts. Other tools stand beside ours where they are on PATH: torchx, az, sky, dstack;
`render` may not be slower than the dry run of torchx.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import listing
import rows
from rows import ROBOTRAIN, Row

ROOT = Path(__file__).parents[1]

BARE_APP = """
import typer
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
@app.command()
def one(): "One."
@app.command()
def two(): "Two."
app()
"""
RENDER_FLOOR = """
import typer, pluggy, yaml
from pydantic import BaseModel
class Model(BaseModel):
    steps: int = 1
Model(steps="3")
"""

MOST, MOST_FOR_A_PLAN = 2.5, 2.0
"""Ceilings: of helps, lists and TAB over a bare Typer app; of `render` and `explain` over their libraries."""
TORCHX_NAME = "torchx run --dryrun"
TORCHX = ["torchx", "run", "--dryrun", "-s", "local_cwd", "utils.echo", "--msg", "hello"]
PEERS = {
    "render": {TORCHX_NAME: TORCHX},
    "--help": {f"{tool} --help": [tool, "--help"] for tool in ("az", "sky", "dstack")},
}
"""What other tools offer beside a command, by its first word."""


class Figure(NamedTuple):
    """What is measured, and the ratio to its floor that it should stay below."""

    name: str
    command: Sequence[str]
    floor: str
    ceiling: float


def list_figures() -> list[Figure]:
    """The figures, with the ceilings of the design."""
    blobs = [word for day in "abc" for word in ("--blob-url", f"https://acct.blob.core.windows.net/set/{day}")]
    workspace = ["--subscription-id", "s", "--resource-group", "g", "--workspace-name", "ws-1"]
    jobs = {
        "local": [str(ROOT / "examples/pusht-mini/job.yaml"), "--platform", "local"],
        "osmo": ["--platform", "osmo", "--pool", "p", "--tracking-uri", "none", *blobs],
        "azureml": ["--platform", "azureml", "--compute", "cc", *workspace, *blobs],
        "slurm": ["--platform", "slurm", "--partition", "gpu", *blobs],
    }
    return [
        Figure("--version", [ROBOTRAIN, "--version"], "python -c pass", 3.0),
        Figure("--help", [ROBOTRAIN, "--help"], BARE, MOST),
        Figure("submit --help", [ROBOTRAIN, "submit", "--help"], BARE, MOST),
        *(
            Figure(f"submit --help {name}", [ROBOTRAIN, "submit", "--help", "--platform", name], BARE, MOST)
            for name in jobs
        ),
        Figure("status", [ROBOTRAIN, "status"], BARE, MOST),
        Figure(f"runs ({listing.SHOWN} records)", [ROBOTRAIN, "runs"], BARE, MOST),
        Figure("TAB of a command", complete("robotrain sta"), BARE_TAB, MOST),
        Figure("TAB of a value", complete("robotrain submit --platform lo"), BARE_TAB, MOST),
        Figure("TAB of an option", complete("robotrain submit --ba"), BARE_TAB, MOST),
        *(
            Figure(f"{command} {platform}", [ROBOTRAIN, command, *words], LIBRARIES, MOST_FOR_A_PLAN)
            for command in ("render", "explain")
            for platform, words in jobs.items()
        ),
    ]


def complete(line: str, program: str = ROBOTRAIN, variable: str = "_ROBOTRAIN_COMPLETE") -> list[str]:
    """The command that a shell runs when TAB is pressed after `line`."""
    variables = [f"{variable}=complete_bash", f"COMP_WORDS={line}", f"COMP_CWORD={line.count(' ')}"]
    return ["env", *variables, *program.split()]


BARE, BARE_TAB, LIBRARIES = "a bare Typer app", "TAB of a bare Typer app", "typer, pluggy, yaml, a pydantic model"


def list_floors(folder: Path) -> dict[str, list[str]]:
    """The commands that figures are compared with, by name."""
    bare, libraries = folder / "bare.py", folder / "libraries.py"
    bare.write_text(BARE_APP)
    libraries.write_text(RENDER_FLOOR)
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        BARE: [sys.executable, str(bare), "--help"],
        BARE_TAB: complete("bare.py o", f"{sys.executable} {bare}", "_BARE.PY_COMPLETE"),
        LIBRARIES: [sys.executable, str(libraries)],
    }


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of each figure."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles every module at each start
    pairs = 5 if options.quick else options.pairs
    with tempfile.TemporaryDirectory() as name:
        state = Path(name, "state")
        listing.make_records(state, listing.SHOWN, lines=30)
        floors = list_floors(Path(name))
        for figure in list_figures():
            yield from measure_figure(figure, floors[figure.floor], state, pairs, options.attempts)


def measure_figure(figure: Figure, floor: list[str], state: Path, pairs: int, attempts: int) -> list[Row]:
    """The rows of a figure: its command, its floor, and the tools that do the same, in turn.

    All runs count, those of earlier attempts too: whatever else the machine does can only add to a time.
    """
    offered = PEERS.get(figure.name.partition(" ")[0], {})
    peers = {name: command for name, command in offered.items() if shutil.which(command[0])}
    commands = [list(command) for command in (figure.command, floor, *peers.values())]
    environ = {"ROBOTRAIN_CACHE": str(state.with_name("cache"))}  # nobody else drops entries from it
    for command in commands * 2:  # compile modules, then fill the caches
        listing.measure_cpu(command, state, environ)
    times: list[list[float]] = [[] for _ in commands]
    for attempt in range(attempts):
        for _ in range(pairs << attempt):
            for column, command in zip(times, commands, strict=True):
                column.append(listing.measure_cpu(command, state, environ))
        ours, least, *others = (1000 * min(column) for column in times)
        beside = dict(zip(peers, others, strict=True))
        values = {"name": figure.name, "ours": ours, "unit": "ms"}
        rows_of_figure = [Row(**values, floor=least, floor_name=figure.floor, ceiling=figure.ceiling, peers=beside)]
        if TORCHX_NAME in beside:
            values["name"] += ", against torchx"
            rows_of_figure.append(Row(**values, floor=beside[TORCHX_NAME], floor_name=TORCHX_NAME, ceiling=1.0))
        if not any(row.is_above for row in rows_of_figure):
            break
    return rows_of_figure


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what is measured."""
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--attempts", type=int, default=1, metavar="N")


def main() -> int:
    """Print every figure."""
    return rows.run(measure, __doc__, add_options)


if __name__ == "__main__":
    sys.exit(main())
