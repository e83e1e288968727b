"""Follows the checkpoints of a program: each complete one becomes a checkpoint of the run.

One is complete by the rule of `--checkpoint-complete`, or because the program reports it. Nothing is waited for: what
changes while it is linked is taken later.
"""

import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Discarded, Note, emit_event
from robotrain_runtime.process.stop import STOPPED_STATUS

from robotrain_workloads.command import checkpoint_pattern, program_checkpoint, program_spec
from robotrain_workloads.command.checkpoint_pattern import CheckpointPattern
from robotrain_workloads.command.outside_outputs import OutsideOutputs
from robotrain_workloads.command.program_checkpoint import ChangedMeanwhile, Place, Signature
from robotrain_workloads.command.program_spec import ProgramSpec
from robotrain_workloads.supervision.json_lines import JsonLines
from robotrain_workloads.supervision.metric_row import parse_step

SCAN_SECONDS = 1.0
BUSY_SHARE = 0.02
"""The most of a core that looking for checkpoints takes."""
QUIET_SECONDS = 30.0
"""How long nothing changes in a checkpoint that was changed against its rule before it counts as complete."""
ENDS_OF_STOP = (0, STOPPED_STATUS, 130)
"""The exit codes of a program that saved its work after a stop."""


@dataclass(frozen=True)
class CompletionRule:
    """When a checkpoint is complete: `marker:FILE`, `quiet:SECONDS` or `rename`."""

    kind: str
    value: str = ""

    @staticmethod
    def parse(text: str) -> "CompletionRule":
        """Return the rule that a parameter's text says."""
        kind, _, value = text.partition(":")
        return CompletionRule(kind, value)

    def is_complete(self, path: Path, signature: Signature, quiet: float, is_new: bool) -> bool:
        """Return whether a checkpoint is complete.

        :param quiet: for how many seconds nothing in it has changed.
        :param is_new: whether what has this name now is there for the first time, not changed.
        """
        if self.kind == "quiet":
            return quiet >= float(self.value)
        if self.kind == "rename":
            return is_new or quiet >= QUIET_SECONDS
        if path.is_file():
            marker = program_checkpoint.read_signature(Path(f"{path}{self.value}"))
            marker_facts = next(iter(marker.values()), None)
        else:
            marker_facts = signature.get(self.value)
        if marker_facts is None:
            return False
        return marker_facts[1] >= max(facts[1] for facts in signature.values()) or quiet >= QUIET_SECONDS


@dataclass
class SavedCheckpoint:
    """What is known of one checkpoint of the program."""

    step: int
    path: Path
    signature: Signature = field(default_factory=dict)
    quiet: float = 0.0
    """For how many seconds it has had this signature."""
    kept: Signature | None = None
    """Its signature when it became one of the run; None before."""
    top: tuple[int, int, int] | None = None
    """Size, time and number of the file or folder itself, when it was looked at last."""
    is_reported: bool = False
    """Whether the program says that it is complete as it is now."""

    def observe(self, signature: Signature, seconds: float) -> None:
        """Note its signature, `seconds` after the last time."""
        self.quiet = self.quiet + seconds if signature == self.signature else 0.0
        self.signature = signature

    def read_top(self) -> tuple[int, int, int] | None:
        """Return what `top` would be now; None if it is not there."""
        try:
            facts = self.path.lstat()
        except OSError:
            return None
        return facts.st_size, facts.st_mtime_ns, facts.st_ino


class CheckpointFollower:
    """Follows the checkpoints below the outputs of a program, and those that it reports.

    :param get_step: returns the last step of the program that is known; None if none is.
    """

    def __init__(
        self,
        spec: ProgramSpec,
        get_step: Callable[[], int | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        send: Callable[[Any], None] = emit_event,
    ) -> None:
        self._outputs, self._folder = Path(os.path.realpath(spec.outputs)), Path(spec.checkpoints)
        self._text = str(spec.values["checkpoints"] or "")
        self._pattern = CheckpointPattern(self._text) if self._text else None
        self._is_usual = not self._text and not spec.values["results"]
        """Whether checkpoints are those of a usual pattern, once there are some: nobody names one."""
        self._rule = CompletionRule.parse(str(spec.values["checkpoint_complete"]))
        self._has_results, self._is_resumed = bool(spec.values["results"]), bool(spec.resume)
        self._reports = JsonLines(Path(spec.work, program_spec.REPORT_FILE))
        self._code = spec.code
        self._outside = OutsideOutputs(spec.arguments, spec.folder, spec.work)
        self._start, self._get_step, self._clock, self._send = Path(spec.folder), get_step, clock, send
        self._saved: dict[Path, SavedCheckpoint] = {}
        self._removed: set[int] = set()
        self._failures: dict[Path, str] = {}
        """By path, why a checkpoint cannot be kept."""
        self._warned: set[str] = set()
        is_restored = spec.resume and spec.values["resume_in_place"]
        location = program_checkpoint.find_place(Path(spec.resume), self._text) if is_restored else None
        self._restored = self._outputs / location.path if location else None
        """Where a checkpoint, maybe of another run, was put back."""
        self._next_scan = self._scanned_at = self._clock()
        self._turn = 0
        self._adopt_kept()

    def _adopt_kept(self) -> None:
        """Know the checkpoints of an earlier attempt, and what was put back, so that they are not reported again."""
        for path, step in self._find_checkpoints():
            if path == self._restored or program_checkpoint.is_kept(path, self._get_target(step)):
                signature = program_checkpoint.read_signature(path)
                saved = self._saved[path] = SavedCheckpoint(step, path, signature, kept=signature)
                saved.top = saved.read_top()

    def read_new(self) -> None:
        """Take the checkpoints that are complete now."""
        self._read_reports()
        if (now := self._clock()) < self._next_scan:
            return
        began = time.thread_time()
        # a process that was stopped meanwhile saw nothing: such a time is not quiet
        self._scan_checkpoints(min(now - self._scanned_at, 2 * max(SCAN_SECONDS, self._next_scan - self._scanned_at)))
        self._scanned_at, pause = now, (time.thread_time() - began) / BUSY_SHARE
        self._next_scan = now + max(SCAN_SECONDS, pause)

    def finish(self, exit_code: int, is_stopped: bool) -> Iterator[str]:
        """Take what the program left, if it ended as it should; yield why the run failed, although it ended with 0.

        :param exit_code: the program's own, negative for a signal.
        """
        self._read_reports()
        is_trusted = exit_code == 0 or (is_stopped and exit_code in ENDS_OF_STOP)
        self._scan_checkpoints(0.0, is_last=True, is_trusted=is_trusted)
        for saved in self._saved.values():
            if saved.signature != saved.kept and saved.path not in self._failures:
                way = (
                    f"; it ended with {exit_code}, not 0: --checkpoint-complete marker:FILE says more"
                    if is_stopped
                    else ""
                )
                text = f"the checkpoint {saved.path} was not complete when the program ended: it is not used{way}"
                self._warn_once(text, text)
        yield from self._failures.values()
        if exit_code == 0 and not is_stopped and self._is_usual and self._text and self._list_kept():
            self._keep_rest()
            yield from self._failures.values()
        if exit_code or is_stopped or self._failures or self._list_kept():
            return
        if self._pattern and self._is_resumed:
            text = "the program saved no checkpoint after the one that it continued from"
            self._warn_once(text, text)
        elif self._pattern and not self._is_usual:
            there, guess = checkpoint_pattern.describe_files(self._outputs)
            way = f" (--checkpoints {guess})" if guess and guess != self._text else ""
            yield f"the program saved no checkpoint as {self._text} below {{outputs}}: {there}{way}"
        elif not self._has_results:
            self._keep_outputs()
            self._say_whole()
            yield from self._failures.values()

    def _keep_outputs(self) -> None:
        """Take all that the program wrote as its one checkpoint."""
        saved = SavedCheckpoint(self._get_step() or 0, self._outputs)
        saved.signature = program_checkpoint.read_signature(self._outputs)
        if not saved.signature:
            self._warn_of_nothing()
        else:
            self._keep_checkpoint(saved)

    def _warn_of_nothing(self) -> None:
        """Warn of a program that left nothing, with what would keep the files that it wrote elsewhere."""
        nothing = "the program wrote no files to {outputs}, in its environment $ROBOTRAIN_OUTPUTS"
        lost = "the run has nothing to publish or to continue from"
        if way := self._suggest_folder():
            self._warn_once(nothing, f"{nothing}: {lost}{way}")
        elif outside := self._outside.find():
            option = f"-- … {outside.option} {{outputs}}"
            way = f" ({option} keeps it)" if outside.option else ""
            text = f"{nothing}, but to {outside.path}, which is not part of the run: {lost}{way}"
            self._send(Note(level="warning", text=text, ways=((option,),) if outside.option else ()))
        else:
            self._warn_once(nothing, f"{nothing}: {lost}")

    def _suggest_folder(self) -> str:
        """Return the option that keeps what the program wrote to a folder of its own; empty if it made none there."""
        with suppress(OSError):
            of_code = {path.name for path in Path(self._code).iterdir()} if self._code else set[str]()
            made = (path for path in sorted(self._start.iterdir()) if path.name not in of_code and path.is_dir())
            if name := next((folder.name for folder in made if not folder.name.startswith((".", "__"))), ""):
                return f" (--output-folder {name} keeps what it wrote there)"
        return ""

    def _keep_rest(self) -> None:
        """Take weights that the program wrote beside the checkpoints that were recognized: maybe its last policy."""
        saved = SavedCheckpoint(self._get_step() or 0, self._outputs)
        tops = {*self._saved}
        whole = program_checkpoint.read_signature(self._outputs)
        saved.signature = {
            name: facts
            for name, facts in whole.items()
            if not tops & {self._outputs / name, *(self._outputs / name).parents}
        }
        newest = max((facts[1] for other in self._saved.values() for facts in other.signature.values()), default=0)
        weights = [
            facts for name, facts in saved.signature.items() if name.lower().endswith(checkpoint_pattern.WEIGHTS)
        ]
        if not any(facts[1] >= newest for facts in weights):
            return
        saved.step = max(saved.step, max(self._list_kept(), default=-1) + 1)
        text = f"what the program wrote beside its checkpoints is the checkpoint of step {saved.step}"
        self._send(Note(level="info", text=text))
        self._keep_checkpoint(saved)

    def _find_checkpoints(self) -> Iterator[tuple[Path, int]]:
        """Yield the path and step of each checkpoint that is there: of the pattern, and reported."""
        if self._is_usual and not any(saved.kept for saved in self._saved.values()):
            self._text = checkpoint_pattern.find_usual_pattern(self._outputs)
            self._pattern = CheckpointPattern(self._text) if self._text else None
        if self._is_usual:
            checkpoints = checkpoint_pattern.list_with_weights(self._text, self._outputs) if self._text else []
        else:
            checkpoints = list(self._pattern.find_checkpoints(self._outputs)) if self._pattern else []
        yield from ((self._outputs / path, step) for path, step in checkpoints)

    def _scan_checkpoints(self, seconds: float, is_last: bool = False, is_trusted: bool = False) -> None:
        """Look at all checkpoints, `seconds` after the last time."""
        there = dict(self._find_checkpoints())
        there |= {path: saved.step for path, saved in self._saved.items() if saved.is_reported and path not in there}
        turns = [path for path in there if path in self._saved and self._saved[path].kept]
        self._turn = (self._turn + 1) % max(1, len(turns))
        for path, step in sorted(there.items(), key=lambda pair: pair[1]):
            saved = self._saved.setdefault(path, SavedCheckpoint(step, path))
            top = saved.read_top()
            if top is None:
                continue
            is_same = saved.kept is not None and top == saved.top and path != turns[self._turn]
            if is_same and saved.signature == saved.kept and not is_last:
                continue  # of those that are kept, one at a time is looked into
            is_new = saved.top is None or saved.top[2] != top[2]
            saved.observe(program_checkpoint.read_signature(path), seconds)
            if not saved.signature or saved.signature == saved.kept:
                saved.top = top
                continue
            is_complete = self._rule.is_complete(path, saved.signature, saved.quiet, is_new)
            if is_trusted or is_complete or (is_last and self._is_followed(saved)):
                self._keep_checkpoint(saved)
            if saved.signature:
                saved.top = top
        for path in [path for path, saved in self._saved.items() if path not in there or saved.read_top() is None]:
            self._failures.pop(path, None)
            if (gone := self._saved.pop(path)).kept is not None:
                self._removed.add(gone.step)
        self._discard_removed()

    def _is_followed(self, saved: SavedCheckpoint) -> bool:
        """Return whether the program, which has ended, began a later checkpoint after the last change of this one.

        Nobody writes to it any more, so that there is nothing to wait for.
        """
        last = max(facts[1] for facts in saved.signature.values())
        later = [other.signature for other in self._saved.values() if other.step > saved.step and other.signature]
        return self._rule.kind == "quiet" and any(min(facts[1] for facts in files.values()) > last for files in later)

    def _read_reports(self) -> None:
        """Take the checkpoints that the program reported since."""
        reports: list[dict[str, Any]] = []
        with suppress(OSError):
            reports += self._reports.read_new()
        for report in reports:
            step = parse_step(report.get("step"))
            if report.get("event") != "checkpoint" or step is None:
                continue
            try:
                path = Path(os.path.realpath(self._start / report["path"]))
            except (KeyError, TypeError, ValueError):  # whoever writes the file by hand may write anything
                self._warn_once("report", f"the program reported a checkpoint of step {step} without a path of files")
                continue
            if not program_checkpoint.is_below(path, self._outputs):  # it may be a whole disk: it is not looked at
                self._fail(path, f"{path} is not below {{outputs}}")
                continue
            saved = self._saved.setdefault(path, SavedCheckpoint(step, path))
            saved.step, saved.is_reported = step, True
            if self._is_usual:
                self._is_usual, self._text, self._pattern = False, "", None
            saved.signature, saved.top = program_checkpoint.read_signature(path), saved.read_top()
            if not saved.signature:
                text = f"the program reported a checkpoint of step {step}, but {path} has no files"
                self._warn_once(text, text)
            elif saved.signature != saved.kept:
                self._keep_checkpoint(saved)

    def _keep_checkpoint(self, saved: SavedCheckpoint) -> None:
        """Make it a checkpoint of the run, unless it changes meanwhile."""
        self._check_order(saved)
        is_below = saved.path.is_relative_to(self._outputs) and saved.path != self._outputs
        path = saved.path.relative_to(self._outputs).as_posix() if is_below else ""
        is_part = self._is_usual and saved.path == self._outputs
        location = Place(path, saved.path.is_file(), is_part)
        target = self._get_target(saved.step)
        try:
            if foreign := program_checkpoint.find_foreign_path(saved.path, self._outputs):
                raise PermissionError(foreign)
            program_checkpoint.keep_checkpoint(saved.path, saved.signature, target, location)
        except ChangedMeanwhile:
            saved.signature, saved.quiet = {}, 0.0
            return
        except OSError as error:  # tried again
            self._fail(saved.path, error.strerror or str(error))
            return
        self._failures.pop(saved.path, None)
        saved.kept = saved.signature
        if self._is_usual and path:
            self._say_usual()
        self._removed.discard(saved.step)
        self._send(Checkpoint(step=saved.step, path=str(target)))
        self._discard_removed()

    def _say_usual(self) -> None:
        """Say once which checkpoints are recognized although nobody named them."""
        if self._text not in self._warned:
            self._warned.add(self._text)
            text = f"checkpoints recognized by their names: {self._text} below {{outputs}}"
            ways = (("--checkpoints PATTERN",),)
            self._send(Note(level="info", text=f"{text} (--checkpoints PATTERN says another)", ways=ways))

    def _say_whole(self) -> None:
        """Say that all outputs are one checkpoint, if their names look like several."""
        _, guess = checkpoint_pattern.describe_files(self._outputs)
        count = len(checkpoint_pattern.list_with_weights(guess, self._outputs)) if guess else 0
        if count > 1:
            text = f"all that the program wrote is one checkpoint (--checkpoints {guess} finds {count} in it)"
            self._send(Note(level="info", text=text, ways=((f"--checkpoints {shlex.quote(guess)}",),)))

    def _fail(self, path: Path, reason: str) -> None:
        """Let the run fail, unless a later trial succeeds."""
        text = f"the checkpoint {path} cannot be kept: {reason}"
        self._failures[path] = text
        self._warn_once(text, text)

    def _check_order(self, saved: SavedCheckpoint) -> None:
        steps = self._list_kept()
        others = [
            other for other in self._saved.values() if other.step == saved.step and other.kept and other is not saved
        ]
        if others:
            text = f"two checkpoints are of step {saved.step}: {others[0].path} and {saved.path}; the later one counts"
            self._warn_once("same", text)
        elif steps and saved.kept is None and saved.step < max(steps):
            text = f"a checkpoint of step {saved.step} follows one of step {max(steps)}: the highest counts as the last"
            self._warn_once("order", text)

    def _discard_removed(self) -> None:
        """Let the run remove its copies of what the program removed, but never the newest."""
        kept_steps = {saved.step for saved in self._saved.values() if saved.kept is not None}
        self._removed -= kept_steps
        for step in sorted(self._removed):
            if step < max(kept_steps | self._removed):
                self._removed.remove(step)
                if (folder := self._get_target(step)).is_dir():  # not one that was put back
                    self._send(Discarded(step=step, path=str(folder)))

    def _list_kept(self) -> list[int]:
        """Return the steps of the run's checkpoints, also of earlier attempts."""
        return [step for step, _ in checkpoint.list_checkpoints(self._folder)]

    def _get_target(self, step: int) -> Path:
        return self._folder / f"{step:06}"

    def _warn_once(self, about: str, text: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            self._send(Note(level="warning", text=text))
