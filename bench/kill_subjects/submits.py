"""Submits that are killed (SIGKILL) and repeated: each leaves one run, which its record names.

The local platform runs a program that adds a line to a file; OSMO and Azure ML are the stand-ins of the tests, dag a
platform of theirs, Slurm a real one of two nodes, where it is installed. `-login` reaches it by ssh, and `-pipeline`
submits a pipeline that the engine runs as one submission. A moment is random within the time that a whole submit takes;
a submit that has ended before is not counted.
"""

import contextlib
import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from kill_subjects.commands import OUTPUT, Commands, list_sent
from kill_subjects.rounds import Findings, RunRound
from kill_subjects.submit_targets import PLATFORMS, Target

IMPORTED_FOR_AZUREML = ("azure.ai.ml", "azure.identity", "azure.storage.blob")
WHOLE = 3
"""Submits that are left alone, to know how long one takes; the first fills caches."""


@contextlib.contextmanager
def open_platform(platform: str, top: Path) -> Iterator[RunRound]:
    """Start a platform, and submit to it a few times."""
    more = IMPORTED_FOR_AZUREML if platform.startswith("azureml") else ()
    with PLATFORMS[platform](top) as begin, contextlib.closing(Commands(top / "site", more)) as commands:
        seconds = []
        for number in range(WHOLE):
            (folder := top / f"whole-{number}").mkdir()
            target = begin(folder)
            began = time.monotonic()
            submit_again(commands, target, folder)
            seconds.append(time.monotonic() - began)
            assert len(target.list_runs()) == 1

        def kill_submit(number: int, moments: random.Random, left: int) -> Findings:
            (folder := top / f"killed-{number}").mkdir()
            target = begin(folder)
            moment = moments.uniform(0.0, min(seconds[1:]))
            if commands.run(target.words, folder, target.environ, moment) != -signal.SIGKILL:
                return Findings()
            submit_again(commands, target, folder)
            return find_losses(target, folder)

        yield kill_submit


def submit_again(commands: Commands, target: Target, folder: Path) -> None:
    """Repeat a submit, as a user does who was not told the run's name; that is told before the record says `sent`."""
    if sent := list_sent(folder):
        assert sent[0].run in (folder / OUTPUT).read_text()
    else:
        commands.require(target.words, folder, target.environ)


def find_losses(target: Target, folder: Path) -> Findings:
    """Compare the runs that a platform has with those that are recorded."""
    findings = Findings(kills=1)
    runs = target.list_runs()
    recorded = [target.get_name(record.reference) for record in list_sent(folder)]
    if not runs or recorded != runs[:1]:
        findings.lost.append(f"the records name {recorded}, and there is {runs}")
    if len(runs) > 1:
        findings.doubled.append(f"there is {runs}")
    return findings


SUBJECTS = {platform: partial(open_platform, platform) for platform in PLATFORMS}
