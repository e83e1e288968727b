"""The runs of a Slurm that is reached by ssh: their folders are on its login node."""
# ruff: noqa: D102 (the base classes say what each method does)

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import cast

from robotrain.errors import Rejected
from robotrain.model.run import Output, Reference, Status
from robotrain.run_folder import ended_run, log, outputs, remote_folder
from robotrain.run_folder.events_copy import EventsCopy
from robotrain.run_folder.facts import ENGINE_END_FILE, FolderFacts
from robotrain.run_folder.parts import HANDOVER_FOLDER
from robotrain.run_folder.scheduler_plan import SEARCH_FILE
from robotrain.run_folder.status import raise_gone
from robotrain.run_folder.transport import Transport
from robotrain_runtime.contract import claim
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture, limit_seconds
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.step_output import STEP_FILE

from robotrain_slurm.login.address import find_login
from robotrain_slurm.login.reach import ANSWER_SECONDS, LoginNode, explained, reach
from robotrain_slurm.observe.runs import SlurmRuns
from robotrain_slurm.spec.submission_spec import CLUSTER_VARIABLE


class LoginRuns(SlurmRuns):
    """The runs of a login node."""

    def require_folder(self, reference: Reference) -> Path:
        if self.at.run(f"[ -d {shlex.quote(reference['folder'])} ]").exit_code:
            raise_gone(reference)
        return Path(reference["folder"])

    def read_file(self, file: Path) -> bytes:
        found = self.at.read({str(file): 0})[str(file)]
        if found is None:
            raise FileNotFoundError(2, "No such file or directory", str(file))
        return found.content

    def mark_cancelled(self, folder: Path) -> None:
        self.at.write(str(folder / claim.CANCELLED_FILE), b"", 0o644)

    def find_cluster(self) -> str:
        return self._cluster

    @cached_property
    def _cluster(self) -> str:
        return self.at.run(f'printf %s "${CLUSTER_VARIABLE}"').text

    def status(self, reference: Reference) -> Status:
        """Return the status of a run, and take over its new events if they are followed. Raise RunGone, Rejected."""
        found = super().status(reference)
        copy = EventsCopy(self.at, self.select_step(reference)["folder"])
        if copy.is_followed:  # afterwards: the last ones are there
            copy.update()
        return found

    def find_facts(self, folders: Sequence[str]) -> list[FolderFacts | None]:
        return remote_folder.find_facts(self.at, folders, self.list_fact_files())

    def keep_end(self, folder: Path, end: bytes) -> None:
        self.at.write(str(folder / ENGINE_END_FILE), end, 0o644)

    def describe_surviving_checkpoints(self, folder: Path) -> Iterable[str]:
        with remote_folder.open_outline(self.at, str(folder)) as outline:
            sentences = [*outputs.describe_surviving_checkpoints(outline)]
            return [one.replace(str(outline), str(folder)) for one in sentences]

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        part = self.select_step(reference)
        folder = Path(part["folder"])
        whole = remote_folder.RemoteLog(folder, self.output_file, f"[{self.name}] ", self.end_sign, at=self.at)
        if not any(whole.ends.values()):
            self.require_folder(part)
        return whole.follow(lambda: self.status(reference), tail) if follow else whole.read_present(tail)

    def events_file(self, reference: Reference) -> Path | None:
        """Return this machine's copy of the events, which every status continues. Raise RunGone, Rejected."""
        part = self.select_step(reference)
        copy = EventsCopy(self.at, part["folder"])
        if not copy.update():
            self.require_folder(part)
            return None
        copy.follow()
        return copy.path

    def outputs(self, reference: Reference) -> Iterable[Output]:
        folder = str(self.require_folder(self.select_step(reference)))
        with remote_folder.open_outline(self.at, folder) as outline:
            found = [*outputs.list_outputs(outline)]
            return [remote_folder.move_output(one, str(outline), folder) for one in found]

    def download(self, reference: Reference, output: Output, to: Path) -> None:
        remote_folder.download_output(self.at, output, to)

    def has_step_output(self, reference: Reference) -> bool:
        file = os.path.join(self.select_step(reference)["folder"], HANDOVER_FOLDER, STEP_FILE)
        return self.at.read({file: 0})[file] is not None

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        top = self.require_folder(reference)
        folder, payload = self.require_folder(self.select_step(reference)), top / log.PAYLOAD_FOLDER
        run = partial(remote_folder.run_runtime, self.at, str(top / SEARCH_FILE))
        return ended_run.register_model(folder, name, step, payload, run)

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int:
        freed = super().remove_outputs(reference, dry_run)
        if not dry_run:
            EventsCopy(self.at, reference["folder"]).remove()
        return freed

    def remove_folder(self, folder: Path, dry_run: bool) -> int:
        return remote_folder.remove_folder(self.at, folder, dry_run)


def find_runs(at: Transport) -> SlurmRuns:
    """Return the runs of a machine."""
    return LoginRuns(at) if at.host else SlurmRuns(at)


def list_statuses(references: Sequence[Reference]) -> list[Status | None]:
    """Return the status of each run, those of a login node by one request; None for the runs of one that fails.

    `status` then says why, without asking it again. Raise Rejected if all runs are of the one that fails.
    """
    places: dict[str, list[int]] = {}
    for number, one in enumerate(references):
        places.setdefault(find_login(one), []).append(number)
    seconds = limit_seconds(ANSWER_SECONDS)  # less in a list: the answers of the others still count
    listings = {
        login: DeadlineFuture(partial(_list_there, login, [references[number] for number in numbers]))
        for login, numbers in places.items()
    }
    found: list[Status | None] = [None] * len(references)
    for login, numbers in places.items():
        try:
            listed = listings[login].result(seconds if login else None)
        except (DeadlineExceeded, Rejected) as error:
            failure = error if isinstance(error, Rejected) else cast(LoginNode, reach(login)).note_silence(seconds)
            if len(places) == 1:
                raise failure from None
            continue
        for number, status in zip(numbers, listed, strict=True):
            found[number] = status
    return found


def _list_there(login: str, references: Sequence[Reference]) -> list[Status | None]:
    at = reach(login)
    with explained(at):
        return find_runs(at).list_statuses(references)
