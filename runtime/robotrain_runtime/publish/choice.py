"""Which of the things that a run left is to be registered: the policy that it evaluated, or one of its checkpoints."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robotrain_runtime import checkpoint
from robotrain_runtime.attempts import Earlier
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Evaluated
from robotrain_runtime.failure import PREFLIGHT, Failed
from robotrain_runtime.publish import sealing

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A checkpoint or a policy, and what is sealed of it. evaluated: what came of evaluating the policy."""

    folder: Path
    manifest: Manifest
    what: Literal["checkpoint", "policy"] = "checkpoint"
    evaluated: Evaluated | None = None

    @property
    def called(self) -> str:
        """For people."""
        return f"{'checkpoint' if self.what == 'checkpoint' else 'policy'} {self.folder.name}"


def of_run(document: JobDocument, earlier: Earlier, step: int | None, say: Say) -> Chosen:
    """Of a run that has ended. step: that of the checkpoint or policy; None for the last. Raises Failed."""
    if evaluated := earlier.evaluated:
        return _policy(document, evaluated, step)
    return of_checkpoints(document, {Path(path).parent for path in earlier.checkpoints}, step, say)


def of_checkpoints(document: JobDocument, parents: Iterable[Path], step: int | None, say: Say) -> Chosen:
    """The checkpoint of `step` (None: the last that is complete to the byte). Raises Failed."""
    folder = _checkpoint(document, sorted(parents), step, say)
    manifest = checkpoint.read(folder)
    if manifest is None:
        raise Failed(f"{folder} is not complete", PREFLIGHT)
    return Chosen(folder=folder, manifest=manifest)


def policy(evaluated: Evaluated, manifest: Manifest) -> Chosen:
    """The policy of an evaluation."""
    return Chosen(folder=Path(evaluated.policy), manifest=manifest, what="policy", evaluated=evaluated)


def not_kept() -> Failed:
    """Why there is no policy."""
    return Failed("the run did not keep the policy that it evaluated", PREFLIGHT)


def _policy(document: JobDocument, evaluated: Evaluated, step: int | None) -> Chosen:
    if not evaluated.policy:
        raise not_kept()
    if step not in (None, evaluated.step):
        raise Failed(f"the run evaluated the policy of step {evaluated.step}, and left none of step {step}", PREFLIGHT)
    folder, at = Path(evaluated.policy), sealing.policy_seal(document)
    manifest = checkpoint.read(folder, at)
    if (why := checkpoint.wrong_with(folder, at)) or manifest is None:
        raise Failed(why, PREFLIGHT)
    return policy(evaluated, manifest)


def _checkpoint(document: JobDocument, among: Iterable[Path], step: int | None, say: Say) -> Path:
    if step is None:
        found = [
            good
            for parent in among
            if (good := checkpoint.last_good(parent, run=document.run, skipped=lambda folder, why: say(why)))
        ]
        if not found:
            raise Failed("the run left no complete checkpoint", PREFLIGHT)
        return max(found)[1]
    for parent in among:
        for at, folder in checkpoint.steps(parent):
            if at == step:
                if why := checkpoint.wrong_with(folder):
                    raise Failed(why, PREFLIGHT)
                return folder
    raise Failed(f"the run left no checkpoint of step {step}", PREFLIGHT)
