"""Start-up figures: each command against a floor it is compared with, in paired runs; minima and their ratio.

    ./uvw run python bench/startup.py [--pairs 15] [--torchx PATH]

A ratio above its ceiling is printed as such; nothing here is a test, machines differ.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROBOTRAIN = str(Path(sys.executable).with_name("robotrain"))

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


@dataclass(frozen=True)
class Figure:
    """What is timed, against what, and the ratio it should stay below."""

    name: str
    command: Sequence[str]
    floor: str
    against: Sequence[str]
    ceiling: float


def figures(folder: Path, torchx: str) -> list[Figure]:
    """The figures of the issues that asked for them. torchx: its command, to stand beside ours; empty for none."""
    bare, floor = folder / "bare.py", folder / "floor.py"
    bare.write_text(BARE_APP)
    floor.write_text(RENDER_FLOOR)
    job = str(ROOT / "examples/pusht-mini/job.yaml")
    python = sys.executable
    typer_help = [python, str(bare), "--help"]
    render = [ROBOTRAIN, "render", job, "--platform", "local"]
    blobs = [word for day in "abc" for word in ("--blob-url", f"https://acct.blob.core.windows.net/set/{day}")]
    osmo = [ROBOTRAIN, "render", "--platform", "osmo", "--pool", "p", "--tracking-uri", "none", *blobs]
    workspace = ["--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w", "--compute", "cc"]
    azureml = [ROBOTRAIN, "render", "--platform", "azureml", *workspace, *blobs]
    tab = ["env", "_ROBOTRAIN_COMPLETE=complete_bash", "COMP_WORDS=robotrain sta", "COMP_CWORD=1", ROBOTRAIN]
    bare_tab = ["env", "_BARE.PY_COMPLETE=complete_bash", "COMP_WORDS=bare.py o", "COMP_CWORD=1", python, str(bare)]
    beside = [torchx, "run", "--dryrun", "-s", "local_cwd", "utils.echo", "--msg", "hello"]
    compared = [Figure("render", render, "torchx run --dryrun", beside, 2.0)] if torchx else []
    return [
        *compared,
        Figure("--version", [ROBOTRAIN, "--version"], "python -c pass", [python, "-c", "pass"], 3.0),
        Figure("--help", [ROBOTRAIN, "--help"], "a bare Typer app", typer_help, 1.25),
        Figure("submit --help", [ROBOTRAIN, "submit", "--help"], "a bare Typer app", typer_help, 1.6),
        Figure("status --help", [ROBOTRAIN, "status", "--help"], "a bare Typer app", typer_help, 1.6),
        Figure("TAB", tab, "TAB of a bare Typer app", bare_tab, 1.6),
        Figure("render", render, "typer + pluggy + yaml + a model", [python, str(floor)], 1.35),
        Figure("render osmo", osmo, "typer + pluggy + yaml + a model", [python, str(floor)], 1.35),
        Figure("render azureml", azureml, "typer + pluggy + yaml + a model", [python, str(floor)], 1.35),
    ]


def seconds(command: Sequence[str], environ: dict[str, str]) -> float:
    """The wall time of one run."""
    start = time.perf_counter()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--torchx", default="", help="the torchx command of an environment that holds it")
    given = parser.parse_args()
    pairs = given.pairs
    with tempfile.TemporaryDirectory() as name:
        environ = os.environ | {"ROBOTRAIN_STATE": name}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles every module at each start
        print(f"{'what':<14} {'min ms':>7}   {'against':<32} {'min ms':>7} {'ratio':>6} {'ceiling':>8}")
        for figure in figures(Path(name), given.torchx):
            seconds(figure.command, environ), seconds(figure.against, environ)
            timed = [(seconds(figure.command, environ), seconds(figure.against, environ)) for _ in range(pairs)]
            ours, theirs = (min(column) for column in zip(*timed, strict=True))
            over = "" if ours / theirs <= figure.ceiling else "  above"
            print(
                f"{figure.name:<14} {ours * 1e3:7.0f}   {figure.floor:<32} {theirs * 1e3:7.0f} "
                f"{ours / theirs:6.2f} {figure.ceiling:8.2f}{over}"
            )


if __name__ == "__main__":
    main()
