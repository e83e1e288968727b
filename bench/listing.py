"""What many runs cost: `robotrain runs` over 10,000 records against the same over 50, in paired runs.

    ./uvw run python bench/listing.py [--pairs 15] [--records 10000] [--lines 300]

Every record is of a run that ended, with a log of so many lines; the newest 50 are listed each time. Minima and their
ratio; one above its ceiling is printed as such. Nothing here is a test, machines differ.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from robotrain.model.run import RunRecord
from robotrain.store import records
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Metrics, Outcome
from startup import ROBOTRAIN, seconds

SHOWN = 50
CEILING = 1.5
COMMANDS = (("runs", ["runs"]), ("runs --json", ["runs", "--json"]), ("status", ["status"]))


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        few, many = Path(name, "few"), Path(name, "many")
        fill(few, SHOWN, given.lines)
        fill(many, given.records, given.lines)
        print(f"{'what':<14} {f'of {given.records} ms':>12} {f'of {SHOWN} ms':>10} {'ratio':>6} {'ceiling':>8}")
        for title, words in COMMANDS:
            ours, theirs = paired([ROBOTRAIN, *words], many, few, given.pairs)
            over = "" if ours / theirs <= CEILING else "  above"
            print(f"{title:<14} {ours * 1e3:12.0f} {theirs * 1e3:10.0f} {ours / theirs:6.2f} {CEILING:8.2f}{over}")


def paired(command: list[str], many: Path, few: Path, pairs: int) -> tuple[float, float]:
    """The least time of the command on each state folder."""
    environs = [os.environ | {"ROBOTRAIN_STATE": str(state)} for state in (many, few)]
    for environ in environs:
        seconds(command, environ)
    timed = [[seconds(command, environ) for environ in environs] for _ in range(pairs)]
    ours, theirs = (min(column) for column in zip(*timed, strict=True))
    return ours, theirs


def fill(state: Path, records: int, lines: int) -> None:
    """A state folder with so many runs, the oldest first. The folders of runs are those of the newest, over again."""
    os.environ["ROBOTRAIN_STATE"] = str(state)
    folders = [ended(state / "local" / f"run-{number}", lines) for number in range(SHOWN)]
    began = time.time() - records
    fsync, os.fsync = os.fsync, lambda handle: None  # ten thousand of them take minutes, and nothing here must last
    try:
        for number in range(records):
            keep(number, began + number, folders[number % SHOWN])
    finally:
        os.fsync = fsync


def keep(number: int, created: float, folder: Path) -> None:
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


def ended(folder: Path, lines: int) -> Path:
    """The folder of a run that succeeded."""
    folder.mkdir(parents=True)
    step = [
        Metrics(step=10 * number, total=10 * lines, values={"train/loss": 1 / number}) for number in range(1, lines)
    ]
    told = [*map(event.format_event, step), event.format_event(Outcome(state="succeeded", exit_code=0))]
    for name in ("log.txt", "events.jsonl"):
        (folder / name).write_text("".join(f"{line}\n" for line in told))
    (folder / "exit.json").write_text(json.dumps({"exit_code": 0, "ended": time.time(), "reason": ""}))
    (folder / "outcome.json").write_text(json.dumps({"state": "succeeded", "exit_code": 0, "reason": ""}))
    return folder


if __name__ == "__main__":
    main()
