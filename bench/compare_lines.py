"""Command lines, typed in two checkouts: every difference in exit code, standard output and standard error.

    ./uvw run python bench/compare_lines.py OTHER_CHECKOUT [--only WORD] [--jobs 2]

OTHER_CHECKOUT has an environment of its own in `.venv` (`./uvw sync`). The lines are those of bench/lines.txt, each
in a new folder with the example's data, without a network and with a state folder of its own. What differs from run to
run (the folder, the checkout, durations) is replaced. Exits 1 when a line differs.
"""

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LINES = Path(__file__).with_name("lines.txt")
SECONDS = 60.0
REPLACEMENTS = (
    (r"\d+(\.\d+)? (s|ms|min)\b", "TIME"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z)?", "DATE"),
    (r"/tmp/[\w.-]+", "FOLDER"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),  # of the payload, which has the code itself
    (r'\b\d{6} bytes|"bytes": \d{6}\b', "BYTES"),
)


class Answer(NamedTuple):
    """What a command line did."""

    code: int
    stdout: str
    stderr: str


def main() -> int:
    """Print every difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the checkout to compare with")
    parser.add_argument("--only", default="", metavar="WORD", help="only lines with this word")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    lines = [line for line in read_lines() if options.only in line]
    with ThreadPoolExecutor(options.jobs) as pool:
        compared = pool.map(partial(compare, options.other.resolve()), lines)
        differing = [print_differences(*one) for one in zip(lines, compared, strict=True)]
    print(f"{len(lines)} lines, {sum(differing)} differ")
    return int(any(differing))


def read_lines() -> list[str]:
    """Return the command lines, without `robotrain`."""
    return [line for line in LINES.read_text().splitlines() if line and not line.startswith("#")]


def compare(other: Path, line: str) -> tuple[Answer, Answer]:
    """Return what a line does in the other checkout, and in this one."""
    with tempfile.TemporaryDirectory(prefix="line-") as name:
        return run(other, line, f"{name}/top"), run(ROOT, line, f"{name}/top")


def run(checkout: Path, line: str, name: str) -> Answer:
    """Type a line in a new folder, which has the same path for both checkouts: runs are named by their content."""
    folder = Path(name, "here")
    shutil.copytree(ROOT / "examples/pusht-mini", folder)
    try:
        environ = {
            "PATH": f"{checkout}/.venv/bin:/usr/bin:/bin",
            "HOME": f"{name}/home",
            "ROBOTRAIN_STATE": f"{name}/state",
            "ROBOTRAIN_CACHE": f"{name}/cache",
            "HF_ENDPOINT": "http://127.0.0.1:9",
            "COLUMNS": "100",
            "LANG": "C.UTF-8",
        }
        shell = ["bash", "-c", f"robotrain {line}"]
        try:
            done = subprocess.run(shell, cwd=folder, env=environ, capture_output=True, text=True, timeout=SECONDS)
            code, stdout, stderr = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired:
            code, stdout, stderr = 124, "", ""
        return Answer(code, *(normalize(text, checkout, name) for text in (stdout, stderr)))
    finally:
        shutil.rmtree(name)


def normalize(text: str, checkout: Path, folder: str) -> str:
    """Return a text without what differs from run to run."""
    text = text.replace(folder, "FOLDER").replace(os.path.realpath(folder), "FOLDER").replace(str(checkout), "CHECKOUT")
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    return text


def print_differences(line: str, answers: tuple[Answer, Answer]) -> bool:
    """Print how the answers differ, and return whether they do."""
    other, own = answers
    if other == own:
        return False
    print(f"\n$ robotrain {line}" + (f"\n  exit code {other.code} -> {own.code}" if other.code != own.code else ""))
    for name in ("stdout", "stderr"):
        before, after = (getattr(one, name).splitlines() for one in answers)
        print(*list_changes(name, before, after), sep="\n", flush=True)
    return True


def list_changes(name: str, before: list[str], after: list[str]) -> Iterator[str]:
    """Yield the lines of a difference, at most 40."""
    heads = ("---", "+++", "@@")
    changes = [one for one in difflib.unified_diff(before, after, lineterm="", n=0) if not one.startswith(heads)]
    yield from (f"  {name} {one[:200]}" for one in changes[:40])
    if len(changes) > 40:
        yield f"  {name} … {len(changes) - 40} more"


if __name__ == "__main__":
    sys.exit(main())
