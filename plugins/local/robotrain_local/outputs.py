"""What a finished run left: register its model, or remove its folder.

Checkpoints that were tracked, registered or published, and an `--output-dir` outside the folder, are not touched: what
is there by a hard link stays there.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from robotrain.errors import MAX_SENTENCE, Problem, Rejected, Stage, Suggestion
from robotrain.redaction import redact
from robotrain.run_folder import log
from robotrain_runtime.contract import failure
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.machine import disk_cache

from robotrain_local import errors, observe, spec
from robotrain_local import spec as files
from robotrain_local.render import DOCUMENT_FILE

REGISTER_COMMAND = "register"


def register_model(folder: Path, name: str, step: int | None) -> Registered:
    """Make the checkpoint of `step`, or the last, or the policy that was evaluated, a version of the model `name`.

    Raises Rejected.
    """
    asked = [REGISTER_COMMAND, DOCUMENT_FILE, name, *(() if step is None else ("--step", str(step)))]
    done = _run_runtime(folder, asked, bundled=_can_register(folder))
    if done.returncode:
        raise Rejected(
            [
                _make_registration_problem(
                    folder, name, step, _extract_reason(done.stderr) or f"It ended with exit code {done.returncode}."
                )
            ]
        )
    try:
        return Registered(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        raise Rejected(
            [_make_registration_problem(folder, name, step, "The runtime did not say which version it became.")]
        ) from None


def _can_register(folder: Path) -> bool:
    """Whether the run's own runtime can register.

    It is asked first, because its halves and its lock are those the run had; that of an older run cannot.
    """
    return _run_runtime(folder, [REGISTER_COMMAND, "--help"], bundled=True).returncode == 0


def _run_runtime(folder: Path, arguments: list[str], bundled: bool) -> "subprocess.CompletedProcess[str]":
    """own: the runtime that came with the run, not the one that is installed here."""
    environ = {name: value for name, value in os.environ.items() if name not in spec.EXCLUDED_VARIABLES}
    return subprocess.run(
        [sys.executable, "-P", "-m", "robotrain_runtime", *arguments],
        cwd=folder,
        env=environ | ({"PYTHONPATH": str(folder / files.PAYLOAD_FOLDER)} if bundled else {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _extract_reason(output: str) -> str:
    """What it said last, which is why it could not; or why it broke."""
    _, said, why = f"\n{output}".rpartition("\nerror: ")
    return why.strip() if said else failure.explain_output(output.splitlines())


def _make_registration_problem(folder: Path, name: str, step: int | None, why: str) -> Problem:
    evaluated = log.read_evaluation(folder)
    last = "the policy that it evaluated" if evaluated else "its last checkpoint"
    which = last if step is None or evaluated else f"the checkpoint of step {step}"
    return Problem(
        code="not-registered",
        stage=Stage.SUBMIT,
        title=f"{which} could not be registered as {name}",
        given=folder.name,
        why="\n".join(redact(line, max_length=MAX_SENTENCE) for line in why.splitlines()),
        suggestions=(Suggestion(f"robotrain outputs {folder.name}", "shows what it left"),),
    )


REMOVED_SUFFIX = ".gone"


def remove_run(folder: Path, dry_run: bool = False) -> int:
    """Remove the run's folder; the bytes that are free then. dry_run: only say how many. Raises Rejected, OSError."""
    if wrong := _check_removable(folder):
        raise Rejected([wrong])
    freed = disk_cache.measure_folder(folder).reclaimable
    if not dry_run:
        aside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}{REMOVED_SUFFIX}")
        os.rename(folder, aside)  # in one step: no half-emptied run is ever seen under the name
        shutil.rmtree(aside)
    return freed


def _check_removable(folder: Path) -> Problem | None:
    """Why it must stay; None when it may go."""
    try:
        run = spec.parse_spec((folder / spec.SPEC_FILE).read_bytes()).run
    except (OSError, *errors.PLAN_ERRORS):
        run = ""
    if run != folder.name:  # a record may name any folder
        way = Suggestion(f"rm -r {folder}", "when you know what it is")
        why = f"It holds no {spec.SPEC_FILE} of a run of this name."
        return _make_removal_problem("not-a-run-folder", f"{folder} is no run's folder, so it is left alone", why, way)
    now = observe.read_status(folder)
    if not now.finished:
        way = Suggestion(f"robotrain cancel {folder.name}", "stops it")
        return _make_removal_problem(
            "run-goes-on", f"{folder.name} is {now.state}, so its folder is left alone", now.reason, way
        )
    return None


def _make_removal_problem(code: str, title: str, why: str, *instead: Suggestion) -> Problem:
    return Problem(code=code, stage=Stage.SUBMIT, title=title, why=why, suggestions=instead)
