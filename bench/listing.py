"""What many runs cost: `runs`, `status` and TAB over 10,000 records against the same over 50, in paired runs.

    ./uvw run python bench/listing.py [--pairs 15] [--records 10000] [--lines 300]

Every record is of a run that ended, with a log of so many lines; the newest 50 are listed each time. Least times of
the processor, and their ratio. The last row is the time that `runs --everywhere` takes for 1,000 runs, half of them
folders of this machine and half workflows of the stand-in for OSMO, half of each recorded here.
"""

import argparse
import dataclasses
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import rows
from robotrain.model.run import RunRecord
from robotrain.store import records
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Metrics, Outcome
from rows import ROBOTRAIN, Row

SHOWN = 50
CEILING = 2.5
EVERYWHERE, EVERYWHERE_SECONDS = 1000, 3.0
TESTS = Path(__file__).resolve().parents[1] / "tests"
TAB = {"_ROBOTRAIN_COMPLETE": "complete_bash", "COMP_WORDS": "robotrain status lerobot", "COMP_CWORD": "2"}
COMMANDS: tuple[tuple[str, list[str], dict[str, str]], ...] = (
    ("runs", ["runs"], {}),
    ("runs --json", ["runs", "--json"], {}),
    ("status", ["status"], {}),
    ("status RUN", ["status", "lerobot-train-00000031-1"], {}),
    ("status BEGINNING", ["status", "lerobot-train-00000031"], {}),
    ("TAB of a run", [], TAB),
)


def main() -> int:
    """Print every figure."""
    return rows.run(measure, __doc__, add_options)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=300)


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each command; with --quick of a tenth of the records."""
    records, pairs = (options.records // 10, 3) if options.quick else (options.records, options.pairs)
    with tempfile.TemporaryDirectory() as name:
        few, many = Path(name, "few"), Path(name, "many")
        make_records(few, SHOWN, options.lines)
        make_records(many, records, options.lines)
        time.sleep(3)  # a folder that just changed gets no index
        for title, words, environ in COMMANDS:
            least = [
                min(times)
                for times in zip(
                    *(
                        [measure_cpu([ROBOTRAIN, *words], state, environ) for state in (many, few)]
                        for _ in range(pairs)
                    ),
                    strict=True,
                )
            ]
            ours, floor = (1000 * seconds for seconds in least)
            yield Row(
                name=title, ours=ours, unit="ms", floor=floor, floor_name=f"over {SHOWN} records", ceiling=CEILING
            )
        seconds = min(measure_everywhere(Path(name, f"everywhere-{pair}")) for pair in range(min(pairs, 3)))
        title = f"runs --everywhere of {EVERYWHERE:,} runs"
        yield Row(name=title, ours=seconds, unit="s", ceiling=EVERYWHERE_SECONDS)


def measure_everywhere(folder: Path) -> float:
    """Return the seconds that a list of the runs of two platforms takes."""
    sys.path.insert(0, str(TESTS))
    from osmo_stand_in import OsmoStandIn

    osmo, state = OsmoStandIn(folder / "osmo"), folder / "state"
    os.environ["ROBOTRAIN_STATE"] = str(state)
    workflows, now = list[dict[str, object]](), time.time()
    fsync, os.fsync = os.fsync, lambda handle: None
    for number in range(EVERYWHERE // 2):
        run = f"lerobot-train-{number:08x}-1"
        made = make_ended_run(state / "local" / run, 2)
        (made / "process.json").write_text("{}")
        submitted = datetime.datetime.fromtimestamp(now - number).isoformat()
        workflows.append({"name": f"{run}-1", "status": "RUNNING", "user": "me", "submit_time": submitted})
        if number % 2:
            write_run_record(number, now - number, made)
            other = {"platform": "osmo", "run": f"{run[:-1]}2", "reference": {"workflow": f"{run}-1"}}
            records.write_record(dataclasses.replace(records.read_record(run), **other))
    os.fsync = fsync
    osmo.fail("workflow list", "answer", stdout=json.dumps({"workflows": workflows}), times=None)
    words, environ = [ROBOTRAIN, "runs", "--everywhere", "--all", "--json"], os.environ | osmo.environ
    began = time.monotonic()
    done = subprocess.run(words, env=environ, capture_output=True, check=True)
    seconds = time.monotonic() - began
    listed = json.loads(done.stdout)["runs"]
    if (len(listed), sum(listed_run["recorded"] for listed_run in listed)) != (EVERYWHERE, EVERYWHERE // 2):
        raise OSError(f"{len(listed)} runs were listed")
    return seconds


def measure_cpu(command: list[str], state: Path, environ: dict[str, str]) -> float:
    """Return the seconds of processor time of a command."""
    environ = os.environ | {"ROBOTRAIN_STATE": str(state)} | environ
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise OSError(f"{' '.join(command[1:])} ended with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def make_records(state: Path, records: int, lines: int) -> None:
    """A state folder with so many runs, the oldest first. The folders of runs are those of the newest, over again."""
    os.environ["ROBOTRAIN_STATE"] = str(state)
    folders = [make_ended_run(state / "local" / f"run-{number}", lines) for number in range(SHOWN)]
    began = time.time() - records
    fsync, os.fsync = os.fsync, lambda handle: None  # ten thousand of them take minutes, and nothing here must last
    try:
        for number in range(records):
            write_run_record(number, began + number, folders[number % SHOWN])
    finally:
        os.fsync = fsync


def write_run_record(number: int, created: float, folder: Path) -> None:
    """One record, as `submit` leaves it."""
    run = f"lerobot-train-{number:08x}-1"
    digest, settings = f"{number:064x}", {"environment": None, "python": "python3", "runs_dir": str(folder.parent)}
    records.write_record(
        RunRecord(
            run=run,
            platform="local",
            phase="sent",
            job=digest,
            plan=digest,
            created=created,
            workload="lerobot-train",
            settings=settings,
            reference={"folder": str(folder)},
        )
    )
    claimed = records.get_run_folder(run) / "claimed"
    claimed.touch()
    os.utime(claimed, (created, created))


def make_ended_run(folder: Path, lines: int) -> Path:
    """The folder of a run that succeeded."""
    folder.mkdir(parents=True)
    step = [
        Metrics(step=10 * number, total=10 * lines, values={"train/loss": 1 / number}) for number in range(1, lines)
    ]
    events = [*map(event.format_event, step), event.format_event(Outcome(state="succeeded", exit_code=0))]
    for name in ("log.txt", "events.jsonl"):
        (folder / name).write_text("".join(f"{line}\n" for line in events))
    (folder / "exit.json").write_text(json.dumps({"exit_code": 0, "ended": time.time(), "reason": ""}))
    (folder / "outcome.json").write_text(json.dumps({"state": "succeeded", "exit_code": 0, "reason": ""}))
    return folder


if __name__ == "__main__":
    sys.exit(main())
