"""Follows the checkpoints of a program: each complete one becomes a checkpoint of the run.

One is complete by the rule of `--checkpoint-complete`, or because the program reports it. Nothing is waited for: what
changes while it is linked is taken later.
"""

import os
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
from robotrain_workloads.command.program_checkpoint import ChangedMeanwhile, Place, Signature
from robotrain_workloads.command.program_spec import ProgramSpec
from robotrain_workloads.supervision.json_lines import JsonLines
from robotrain_workloads.supervision.metric_row import parse_step

SCAN_SECONDS = 1.0
BUSY_SHARE = 0.02
"""The most of a core that looking for checkpoints takes."""
QUIET_SECONDS = 30.0
"""How long nothing changes in a checkpoint that was changed against its rule before it counts as complete."""
LAST = "last"
"""The name of a file that is the newest checkpoint, whatever its step: `last.ckpt`."""
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
        kind, _, condition = text.partition(":")
        return CompletionRule(kind, condition)

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
    inode: int | None = None
    """The number of the file or folder itself, when it was looked at last."""
    is_reported: bool = False
    """Whether the program says that it is complete as it is now."""

    def observe(self, signature: Signature, seconds: float) -> None:
        """Note its signature, `seconds` after the last time."""
        self.quiet = self.quiet + seconds if signature == self.signature else 0.0
        self.signature = signature


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
                self._saved[path] = SavedCheckpoint(step, path, signature, kept=signature, inode=_read_inode(path))

    def read_new(self) -> None:
        """Take the checkpoints that are complete now."""
        self._read_reports()
        if (now := self._clock()) < self._next_scan:
            return
        start_time = time.thread_time()
        # a process that was stopped meanwhile saw nothing: such a time is not quiet
        self._scan_checkpoints(min(now - self._scanned_at, 2 * max(SCAN_SECONDS, self._next_scan - self._scanned_at)))
        self._scanned_at, pause = now, (time.thread_time() - start_time) / BUSY_SHARE
        self._next_scan = now + max(SCAN_SECONDS, pause)

    def finish(self, exit_code: int, is_stopped: bool) -> Iterator[str]:
        """Take what the program left, if it ended as it should; yield why the run failed, although it ended with 0.

        :param exit_code: the program's own, negative for a signal.
        """
        self._read_reports()
        is_trusted = exit_code == 0 or (is_stopped and exit_code in ENDS_OF_STOP)
        self._scan_checkpoints(0.0, is_last=True, is_trusted=is_trusted)
        for saved_checkpoint in self._saved.values():
            if saved_checkpoint.signature != saved_checkpoint.kept and saved_checkpoint.path not in self._failures:
                way = (
                    f"; it ended with {exit_code}, not 0: --checkpoint-complete marker:FILE says more"
                    if is_stopped
                    else ""
                )
                warning_text = (
                    f"the checkpoint {saved_checkpoint.path} was not complete when the program ended: it "
                    f"is not used{way}"
                )
                self._warn_once(warning_text, warning_text)
        yield from self._failures.values()
        if exit_code == 0 and not is_stopped and self._is_usual and self._text and self._list_kept():
            self._keep_rest()
            yield from self._failures.values()
        if self._failures or self._list_kept():
            return
        if exit_code or is_stopped:
            return
        if self._pattern and self._is_resumed:
            warning_text = "the program saved no checkpoint after the one that it continued from"
            self._warn_once(warning_text, warning_text)
        elif self._pattern and not self._is_usual:
            files_text = checkpoint_pattern.describe_paths(program_checkpoint.list_files(self._outputs))
            yield f"the program saved no checkpoint as {self._text} below {{outputs}}: it has {files_text}"
        elif not self._has_results:
            self._keep_outputs()
            yield from self._failures.values()

    def _keep_outputs(self) -> None:
        """Take all that the program wrote as its one checkpoint."""
        saved_checkpoint = SavedCheckpoint(self._get_step() or 0, self._outputs)
        saved_checkpoint.signature = program_checkpoint.read_signature(self._outputs)
        if saved_checkpoint.signature:
            self._keep_checkpoint(saved_checkpoint)
            return
        no_files_text = "the program wrote no files to {outputs}, in its environment $ROBOTRAIN_OUTPUTS"
        self._warn_once(no_files_text, f"{no_files_text}: the run has nothing to publish or to continue from")

    def _keep_rest(self) -> None:
        """Take weights that the program wrote beside the checkpoints that were recognized: maybe its last policy."""
        rest_checkpoint = SavedCheckpoint(self._get_step() or 0, self._outputs)
        checkpoint_paths = {*self._saved}
        whole_signature = program_checkpoint.read_signature(self._outputs)
        rest_checkpoint.signature = {
            name: facts
            for name, facts in whole_signature.items()
            if not checkpoint_paths & {self._outputs / name, *(self._outputs / name).parents}
        }
        newest_change = max(
            (facts[1] for saved_checkpoint in self._saved.values() for facts in saved_checkpoint.signature.values()),
            default=0,
        )
        new_weights = [
            name
            for name, facts in rest_checkpoint.signature.items()
            if name.lower().endswith(checkpoint_pattern.WEIGHTS) and facts[1] >= newest_change
        ]
        if not new_weights:
            return
        newest_step = max(self._list_kept(), default=0)
        if last_name := next((name for name in new_weights if Path(name).stem == LAST), ""):
            last_file = self._outputs / last_name
            step = max(rest_checkpoint.step, newest_step)
            self._warned.add("same")  # it may take the place of the newest one
            self._keep_checkpoint(SavedCheckpoint(step, last_file, program_checkpoint.read_signature(last_file)))
            return
        rest_checkpoint.step = max(rest_checkpoint.step, newest_step + 1)
        note_text = f"what the program wrote beside its checkpoints is the checkpoint of step {rest_checkpoint.step}"
        self._send(Note(level="info", text=note_text))
        self._keep_checkpoint(rest_checkpoint)

    def _find_checkpoints(self) -> Iterator[tuple[Path, int]]:
        """Yield the path and step of each checkpoint that is there: of the pattern, and reported."""
        if self._is_usual and not any(saved_checkpoint.kept for saved_checkpoint in self._saved.values()):
            self._text = checkpoint_pattern.find_usual_pattern(self._outputs)
            self._pattern = CheckpointPattern(self._text) if self._text else None
        if self._is_usual:
            checkpoints = checkpoint_pattern.list_with_weights(self._text, self._outputs) if self._text else []
        else:
            checkpoints = list(self._pattern.find_checkpoints(self._outputs)) if self._pattern else []
        yield from ((self._outputs / path, step) for path, step in checkpoints)

    def _scan_checkpoints(self, seconds: float, is_last: bool = False, is_trusted: bool = False) -> None:
        """Look at all checkpoints, `seconds` after the last time."""
        steps_by_path = dict(self._find_checkpoints())
        for path, saved_checkpoint in self._saved.items():
            if saved_checkpoint.is_reported:
                steps_by_path.setdefault(path, saved_checkpoint.step)
        for path, step in steps_by_path.items() if is_last else ():  # `_is_followed` compares them with each other
            saved_checkpoint = self._saved.setdefault(path, SavedCheckpoint(step, path))
            saved_checkpoint.signature = saved_checkpoint.signature or program_checkpoint.read_signature(path)
        settled_paths = [path for path, saved in self._saved.items() if saved.kept and saved.signature == saved.kept]
        self._turn += 1
        for path, step in sorted(steps_by_path.items(), key=lambda pair: pair[1]):
            saved_checkpoint = self._saved.setdefault(path, SavedCheckpoint(step, path))
            inode = _read_inode(path)
            is_new = saved_checkpoint.inode != inode
            is_settled = path in settled_paths and path != settled_paths[self._turn % len(settled_paths)]
            if is_settled and not is_new and not is_last:  # of those that are kept, one at a time is looked into
                continue
            saved_checkpoint.observe(program_checkpoint.read_signature(path), seconds)
            if saved_checkpoint.signature and saved_checkpoint.signature != saved_checkpoint.kept:
                is_complete = self._rule.is_complete(path, saved_checkpoint.signature, saved_checkpoint.quiet, is_new)
                if is_trusted or is_complete or (is_last and self._is_followed(saved_checkpoint)):
                    self._keep_checkpoint(saved_checkpoint)
                if not saved_checkpoint.signature:  # it changed meanwhile: next time is as the first
                    continue
            saved_checkpoint.inode = inode
        for path in [
            path for path, saved_checkpoint in self._saved.items() if path not in steps_by_path or not path.exists()
        ]:
            self._failures.pop(path, None)
            if (removed_checkpoint := self._saved.pop(path)).kept is not None:
                self._removed.add(removed_checkpoint.step)
        self._discard_removed()

    def _is_followed(self, saved_checkpoint: SavedCheckpoint) -> bool:
        """Return whether the program, which has ended, began a later checkpoint after the last change of this one.

        Nobody writes to it any more, so that there is nothing to wait for.
        """
        last_change = max(facts[1] for facts in saved_checkpoint.signature.values())
        later_signatures = [
            other_checkpoint.signature
            for other_checkpoint in self._saved.values()
            if other_checkpoint.step > saved_checkpoint.step and other_checkpoint.signature
        ]
        return self._rule.kind == "quiet" and any(
            min(facts[1] for facts in files.values()) > last_change for files in later_signatures
        )

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
            saved_checkpoint = self._saved.setdefault(path, SavedCheckpoint(step, path))
            saved_checkpoint.step, saved_checkpoint.is_reported = step, True
            if self._is_usual:
                self._is_usual, self._text, self._pattern = False, "", None
            saved_checkpoint.signature = program_checkpoint.read_signature(path)
            saved_checkpoint.inode = _read_inode(path)
            if not saved_checkpoint.signature:
                warning_text = f"the program reported a checkpoint of step {step}, but {path} has no files"
                self._warn_once(warning_text, warning_text)
            elif saved_checkpoint.signature != saved_checkpoint.kept:
                self._keep_checkpoint(saved_checkpoint)

    def _keep_checkpoint(self, saved: SavedCheckpoint) -> None:
        """Make it a checkpoint of the run, unless it changes meanwhile."""
        self._check_order(saved)
        is_below = saved.path.is_relative_to(self._outputs) and saved.path != self._outputs
        path = saved.path.relative_to(self._outputs).as_posix() if is_below or saved.is_reported else ""
        is_part = self._is_usual and saved.path == self._outputs
        location = Place(path, saved.path.is_file(), is_part)
        target = self._get_target(saved.step)
        try:
            if foreign_path := program_checkpoint.find_foreign_path(saved.path, self._outputs):
                raise PermissionError(foreign_path)
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
            note_text = f"checkpoints recognized by their names: {self._text} below {{outputs}}"
            ways = (("--checkpoints PATTERN",),)
            self._send(Note(level="info", text=f"{note_text} (--checkpoints PATTERN says another)", ways=ways))

    def _fail(self, path: Path, reason: str) -> None:
        """Let the run fail, unless a later trial succeeds."""
        failure_text = f"the checkpoint {path} cannot be kept: {reason}"
        self._failures[path] = failure_text
        self._warn_once(failure_text, failure_text)

    def _check_order(self, saved_checkpoint: SavedCheckpoint) -> None:
        steps = self._list_kept()
        same_step = [
            other_checkpoint
            for other_checkpoint in self._saved.values()
            if other_checkpoint.step == saved_checkpoint.step
            and other_checkpoint.kept
            and other_checkpoint is not saved_checkpoint
        ]
        if same_step:
            warning_text = (
                f"two checkpoints are of step {saved_checkpoint.step}: {same_step[0].path} and "
                f"{saved_checkpoint.path}; the later one counts"
            )
            self._warn_once("same", warning_text)
        elif steps and saved_checkpoint.kept is None and saved_checkpoint.step < max(steps):
            warning_text = (
                f"a checkpoint of step {saved_checkpoint.step} follows one of step {max(steps)}: the "
                "highest counts as the last"
            )
            self._warn_once("order", warning_text)

    def _discard_removed(self) -> None:
        """Let the run remove its copies of what the program removed, but never the newest."""
        kept_steps = {
            saved_checkpoint.step for saved_checkpoint in self._saved.values() if saved_checkpoint.kept is not None
        }
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


def _read_inode(path: Path) -> int | None:
    """Return the number of a file or folder; None if it is not there."""
    try:
        return path.lstat().st_ino
    except OSError:
        return None
