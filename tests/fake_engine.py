"""The engine of the fake platform, a folder: what it was sent, and what it answers from now on."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path


def set_run_state(engine: Path, run: str, state: str = "succeeded", **more: object) -> None:
    """Let a run have a state, and further fields: `log`, `checkpoints`."""
    scratch = engine / f".{run}"
    scratch.write_text(json.dumps({"state": state, **more}))
    scratch.rename(engine / f"{run}.json")


def count_submissions(engine: Path) -> dict[str, int]:
    """Return how often each run was sent."""
    jobs = engine / "jobs"
    return {path.name: len(path.read_text().split()) for path in sorted(jobs.iterdir())} if jobs.exists() else {}


@contextlib.contextmanager
def answer_submits(engine: Path, mood: str) -> Iterator[None]:
    """Let submits end as fake_platform.py describes each mood, for example `hangs up`."""
    (engine / "mood").write_text(mood)
    yield
    (engine / "mood").unlink()
