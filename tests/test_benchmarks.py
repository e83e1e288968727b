"""The benchmarks' rows and the command that runs all of them."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

import pytest
from source_tree import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import rows
import suite
from rows import Row

ABOVE = Row(name="slow", ours=3, unit="s", floor=2, floor_name="plain", ceiling=1.2)
WITHIN = Row(name="quick", ours=3, unit="s", floor=2, floor_name="plain", ceiling=1.6)
SIZE = Row(name="size", ours=130, unit="KiB", ceiling=128)
NOTE = Row(name="beside", ours=5, unit="ms", peers={"az --help": 900})


@pytest.mark.parametrize(
    ("row", "verdict"),
    [(ABOVE, "above"), (WITHIN, "within"), (SIZE, "above"), (NOTE, "")],
    ids=lambda value: str(value),
)
def test_a_row_above_its_ceiling_says_so(row: Row, verdict: str) -> None:
    assert row.verdict == verdict
    assert rows.parse(json.dumps(asdict(row))) == row


def test_rows_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match="not a row"):
        rows.parse('{"name": "x"}')


def benchmark_that_prints(tmp_path, monkeypatch, *attempts: list[Row]) -> suite.Benchmark:
    """A benchmark whose attempts print these rows, one after the other."""
    printed = [[json.dumps(asdict(row)) for row in attempt] for attempt in attempts]
    script = f"""
import pathlib, sys
count = pathlib.Path({str(tmp_path / "count")!r})
number = len(count.read_text()) if count.exists() else 0
count.write_text("x" * (number + 1))
print("\\n".join({printed!r}[number]))
sys.exit({[int(any(row.is_above for row in attempt)) for attempt in attempts]!r}[number])
"""
    (tmp_path / "sample.py").write_text(script)
    monkeypatch.setattr(suite, "__file__", str(tmp_path / "suite.py"))
    return suite.Benchmark("sample", "Sample")


def test_the_best_attempt_of_each_row_counts_until_none_is_above(tmp_path, monkeypatch) -> None:
    better = Row(**{**asdict(ABOVE), "ours": 2.2})
    benchmark = benchmark_that_prints(tmp_path, monkeypatch, [ABOVE, WITHIN], [better, WITHIN], [])
    assert suite.measure(benchmark, False, 3) == [better, WITHIN]


@pytest.mark.parametrize("printed", [[], [WITHIN]], ids=["at once", "after a row"])
def test_a_benchmark_that_crashes_fails(tmp_path, monkeypatch, printed: list[Row]) -> None:
    lines = [json.dumps(asdict(row)) for row in printed]
    (tmp_path / "sample.py").write_text(f"for line in {lines!r}: print(line)\nraise RuntimeError")
    monkeypatch.setattr(suite, "__file__", str(tmp_path / "suite.py"))
    with pytest.raises(OSError, match="exit code 1"):
        suite.measure(suite.Benchmark("sample", "Sample"), False, 1)


def test_the_page_has_a_table_for_each_benchmark() -> None:
    page = list(suite.format_page({"Sample": [ABOVE, WITHIN], "Sizes": [SIZE]}))
    assert "## Sample" in page
    assert any("3 s | 2 s plain | 1.5 × | 1.2 × **above**" in line for line in page)
    assert "| what | ours | ceiling |" in page, "columns without a value are left out"


def test_rows_that_are_not_measured_again_stay_on_the_page() -> None:
    before = "\n".join(suite.format_page({"Start-up": [ABOVE], "Sweeps": [WITHIN]}))
    page = "\n".join(suite.format_page({"Sweeps": [ABOVE]}, before))
    assert page == "\n".join(suite.format_page({"Start-up": [ABOVE], "Sweeps": [ABOVE]}))


def test_every_benchmark_of_the_suite_exists() -> None:
    missing = [
        benchmark.name for benchmark in suite.BENCHMARKS if not (ROOT / "bench" / f"{benchmark.name}.py").is_file()
    ]
    assert not missing


SMALLEST: dict[str, Sequence[str]] = {
    "camera_training": ["--epochs", "2", "--frames", "16"],
    "data_check": ["--quick"],
    "data_plane": ["--quick", "--only", "look"],
    "first_step": ["--quick"],
    "loading": ["--quick", "--frames", "20", "--workers", "0"],
    "listing": ["--quick", "--records", "1000", "--lines", "10"],
    "pipeline_plan": ["--quick"],
    "plan_size": ["--quick"],
    "compare": ["--quick"],
    "option_check": ["--quick"],
    "startup": ["--pairs", "1"],
    "sweep": ["--trials", "1", "--steps", "2"],
    "trainer_check": ["--quick"],
    "training": ["--pairs", "1", "--steps", "40"],
    "wrong_jobs": ["--quick", "--no-checker"],
    "watching": ["--quick", "--seconds", "5", "--megabytes", "10", "--points", "1000"],
}
"""The options of each benchmark at its smallest. What kills submits is started by test_kills.py."""


def test_each_benchmark_has_options_to_be_started_with() -> None:
    scripts = {path.stem for path in (ROOT / "bench").glob("*.py")}
    assert set(SMALLEST) == scripts - {
        "rows",
        "suite",
        "environments",
        "kills",
        "data_sizes",
    }


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", SMALLEST)
def test_each_benchmark_starts_and_ends_with_figures(tmp_path, name: str) -> None:
    command = [sys.executable, str(ROOT / f"bench/{name}.py"), *SMALLEST[name]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip(), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: a figure above its ceiling, on a busy machine
