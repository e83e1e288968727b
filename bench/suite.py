"""Every benchmark that has a ceiling, and docs/performance.md: the table of their rows.

    bench/all [--quick] [--attempts 3] [--only NAME…] [--write]

--attempts: how often a benchmark is measured again while one of its rows is above its ceiling; of each row the best
attempt counts. --write: write the rows to the page; those of benchmarks that were not measured stay as they are. Exits
1 when a row is above its ceiling, or a benchmark failed.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rows
from rows import COLUMNS, LINE, Row

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/performance.md"
MARK = "<!-- what follows is written by bench/all"


@dataclass(frozen=True)
class Benchmark:
    """A script of this folder: `NAME.py`, and the heading of its rows on the page."""

    name: str
    heading: str


BENCHMARKS = (
    Benchmark("startup", "Start-up"),
    Benchmark("pipeline_plan", "Large pipelines"),
    Benchmark("listing", "Many runs"),
    Benchmark("watching", "Watching a run"),
    Benchmark("plan_size", "Size of plans"),
    Benchmark("first_step", "From submit to the first training step"),
    Benchmark("training", "While a training goes on"),
    Benchmark("sweep", "Sweeps"),
    Benchmark("data_plane", "Fetching data"),
    Benchmark("compare", "Comparing two policies"),
)


def main() -> int:
    """Measure, print a table, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser.add_argument("--quick", action="store_true", help="less of everything: to try it; never written")
    parser.add_argument("--attempts", type=int, default=1, metavar="N")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    if options.write and options.quick:
        parser.error("--write needs benchmarks at full size: leave out --quick")
    print(LINE.format(*COLUMNS), flush=True)
    rows_by_heading: dict[str, list[Row]] = {}
    failed: list[str] = []
    for benchmark in BENCHMARKS:
        if benchmark.name in options.only:
            try:
                rows_by_heading[benchmark.heading] = measure(benchmark, options.quick, options.attempts)
            except (OSError, ValueError) as error:
                failed.append(f"{benchmark.name}: {error}")
                continue
            for row in rows_by_heading[benchmark.heading]:
                print(LINE.format(*row.cells), flush=True)
    above = [row.name for measured in rows_by_heading.values() for row in measured if row.is_above]
    for line in failed:
        print(f"failed: {line}")
    print(f"{len(above)} above" if above else "none above")
    if options.write and not failed:
        introduction, _, before = PAGE.read_text().partition(MARK)
        PAGE.write_text(introduction + "\n".join(format_page(rows_by_heading, before)))
    return 1 if above or failed else 0


def measure(benchmark: Benchmark, is_quick: bool, attempts: int) -> list[Row]:
    """Return the rows of a benchmark, each of its best attempt. Raise OSError if it fails, ValueError."""
    command = [sys.executable, str(Path(__file__).with_name(f"{benchmark.name}.py")), "--json"]
    best: dict[str, Row] = {}
    for _ in range(attempts):
        done = subprocess.run([*command, *(["--quick"] if is_quick else [])], stdout=subprocess.PIPE, text=True)
        measured = [rows.parse(line) for line in done.stdout.splitlines()]
        if not measured or done.returncode != any(row.is_above for row in measured):
            raise OSError(f"exit code {done.returncode}")
        for row in measured:
            best[row.name] = min(best.get(row.name, row), row, key=lambda row: row.ratio or row.ours)
        if not any(row.is_above for row in best.values()):
            break
    return list(best.values())


def format_page(rows_by_heading: dict[str, list[Row]], before: str = "") -> Iterator[str]:
    """Yield the lines of the generated part of the page; `before` is that part as it was."""
    yield f"{MARK}: do not edit -->"
    _, *texts = before.rstrip().split("\n## ")
    sections = {heading: rest for heading, _, rest in (text.partition("\n") for text in texts)}
    for heading in dict.fromkeys([*(benchmark.heading for benchmark in BENCHMARKS), *rows_by_heading]):
        if heading in rows_by_heading:
            yield from ("", f"## {heading}", "", *_format_table(rows_by_heading[heading]))
        elif heading in sections:
            yield from ("", f"## {heading}", sections[heading].rstrip())
    yield ""


def _format_table(measured: Sequence[Row]) -> Iterator[str]:
    columns = [index for index in range(len(COLUMNS) - 1) if any(row.cells[index] for row in measured)]
    yield _format_line([COLUMNS[index] for index in columns])
    yield _format_line(["---"] * len(columns))
    for row in measured:
        yield _format_line(
            [row.cells[index] + (" **above**" if index == 5 and row.is_above else "") for index in columns]
        )


def _format_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
