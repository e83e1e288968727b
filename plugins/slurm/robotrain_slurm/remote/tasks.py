"""What another machine asks for beside the platform's own functions. These run on the login node."""

import hashlib
import os
import shlex
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from robotrain.cluster.platform import run_checks
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.model.run import Output, Reference
from robotrain_runtime.contract.document import parse_document
from robotrain_runtime.contract.files import open_regular_file

from robotrain_slurm.login.address import find_login
from robotrain_slurm.observe.runs import RUNS
from robotrain_slurm.preflight.checks import list_checks
from robotrain_slurm.remote.events_mirror import PROBE_BYTES
from robotrain_slurm.spec.submission_spec import SUBMISSION
from robotrain_slurm.submit.submit import submit_plan

make_problem = Messages(__file__)

CHUNK_BYTES = MAX_EVENT_BYTES = 1 << 19
"""Of a file in one frame, for which a slow line has `SILENCE_SECONDS`."""

SentCode = Sequence[Sequence[Any]]
"""Folders of code: the address of each, and an archive of its files."""


def submit(plan: Plan, codes: SentCode) -> Reference:
    """Send a plan with the folders of code that came with it. Raise as `submit_plan`."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as temporary:
        copies = {}
        for number, (address, archive) in enumerate(codes):
            copies[address] = Path(temporary, str(number))
            with tarfile.open(fileobj=BytesIO(archive)) as packed:
                packed.extractall(copies[address])  # the files of the user, which `methods` packed
        return submit_plan(plan, lambda folder, pin: copies[str(folder)])


def preflight(plan: Plan, pythons: Mapping[str, str]) -> list[Problem]:
    """Return what would make a plan fail. Raise Rejected for one that cannot be read.

    :param pythons: as in `list_checks`.
    """
    return run_checks([*list_checks(plan, pythons), lambda: check_sources(plan)])


def check_sources(plan: Plan) -> Iterator[Problem]:
    """Check that the folders that a job reads are here: those of the user's own machine are not."""
    for path in dict.fromkeys(one for job in SUBMISSION.load(plan, Stage.PREFLIGHT).jobs for one in job.documents[:1]):
        document = parse_document(plan.files[path].decode())
        copied = {(mount.role, mount.uri) for mount in document.placement.mounts}
        for source in document.sources:
            is_read = source.kind == "local_path" and (source.role, source.uri) not in copied
            if is_read and not os.path.lexists(source.uri):
                copy = f"rsync -a {_quote_path(source.uri)} {find_login(plan)}:FOLDER"
                there = Suggestion(copy, "copies it; then give that folder instead")
                yield make_problem("slurm-login-source", there, given=source.uri, role=source.role)


def _quote_path(path: str) -> str:
    """Return a path as a word of a line for the other machine, whose home folder is another one."""
    home = os.path.expanduser("~").rstrip("/")
    return f"~/{shlex.quote(path[len(home) + 1 :])}" if home and path.startswith(f"{home}/") else shlex.quote(path)


def query_status(reference: Reference, known: Sequence[Any] | None) -> Mapping[str, Any]:
    """Return the status and new events. Raise as `query_status`.

    :param known: of the events, as for `read_events`; None if they are not followed.
    """
    status = RUNS.status(reference)
    events = read_events(reference, *known) if known is not None else None  # afterwards: the last ones are there
    return {"status": status, "events": events}


def read_events(reference: Reference, offset: int, probe: str) -> Sequence[Any] | None:
    """Return where new events begin, those, and whether there are more; None if there is no file of events.

    :param probe: the digest of what stands before `offset`, as far as it is known.
    """
    if (path := RUNS.events_file(reference)) is None:
        return None
    with open_regular_file(path) as file:
        start = max(0, offset - PROBE_BYTES)
        file.seek(start)
        if hashlib.sha256(file.read(offset - start)).hexdigest() != probe:
            offset = 0
        file.seek(offset)
        content = file.read(MAX_EVENT_BYTES)
        return [offset, content, len(content) == MAX_EVENT_BYTES]


def list_outputs(reference: Reference) -> list[Output]:
    """Return the outputs of a run. Raise RunGone, Rejected."""
    return [*RUNS.outputs(reference)]


def send_output(reference: Reference, output: Output) -> Iterator[Mapping[str, Any]]:
    """Yield the files of an output: the path and mode of each, then its content in parts. Raise Rejected, OSError.

    Links are followed, each folder once. What is no file, such as a pipe or a link to nothing, is left out.
    """
    source = Path(output.uri)
    if not source.exists():
        raise Rejected([make_problem("output-gone", given=output.uri, name=output.name)])
    if source.is_file():
        yield from _send_file(source, "")
        return
    yield {"path": "", "mode": 0, "folder": True}
    seen = set[tuple[int, int]]()
    for place, folders, names in os.walk(source, followlinks=True):
        found = os.stat(place)
        if (found.st_dev, found.st_ino) in seen:
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        inside = os.path.relpath(place, source)
        for name in folders:
            yield {"path": os.path.normpath(os.path.join(inside, name)), "mode": 0, "folder": True}
        for name in filter(lambda name: Path(place, name).is_file(), names):
            yield from _send_file(Path(place, name), os.path.normpath(os.path.join(inside, name)))


def _send_file(file: Path, path: str) -> Iterator[Mapping[str, Any]]:
    with file.open("rb") as opened:
        yield {"path": path, "mode": os.fstat(opened.fileno()).st_mode & 0o777, "folder": False}
        while content := opened.read(CHUNK_BYTES):
            yield {"content": content}
