"""What a run's log tells of what it left: checkpoints, their copies, and what came of an evaluation."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from robotrain.progress import Progress
from robotrain_runtime import event
from robotrain_runtime.document import Scalar
from robotrain_runtime.event import Checkpoint, Evaluated, Published, Track

POLICY = "policy_artifact"
"""The tag of a run that says where among its artifacts the evaluated policy lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """models: the part of a checkpoint that is the model, by its step. tags, params: of the tracking run."""

    known: Progress
    models: Mapping[int, str]
    tags: Mapping[str, str]
    params: Mapping[str, Scalar]

    @property
    def published(self) -> Iterator[Published]:
        """Checkpoints at an address; a folder of the machine is gone with it."""
        return (one for one in self.known.published if _is_address(one.to))

    @property
    def results(self) -> str:
        """The address that the results were copied to; empty for none."""
        return next((to for to in reversed(self.known.results) if _is_address(to)), "")

    @property
    def results_name(self) -> str:
        """The name of the folder of the results."""
        return PurePosixPath(self.evaluated.results).name if self.evaluated else ""

    @property
    def evaluated(self) -> Evaluated | None:
        """What came of an evaluation."""
        return self.known.evaluated

    @property
    def run_id(self) -> str:
        """Of the tracking run; empty when it is not known."""
        return str((self.known.tracking or {}).get("run_id") or "")

    @property
    def experiment_id(self) -> str:
        """Of the tracking run; empty when it is not known."""
        return str((self.known.tracking or {}).get("experiment_id") or "")

    def artifacts(self, run_id: str) -> dict[int, str]:
        """Where the model of a step, or the evaluated policy, lies among the artifacts of the tracking run."""
        found = {one.step: at for one in self.known.published if (at := _artifact(one.to, run_id))}
        if self.evaluated and (policy := self.tags.get(POLICY)):
            found[self.evaluated.step] = policy
        return found


def of(lines: Iterable[str]) -> Heard:
    """All that a log says by now."""
    known, models = Progress(), dict[int, str]()
    tags, params = dict[str, str](), dict[str, Scalar]()
    for line in lines:
        if record := event.read(line):
            known.add(record)
            if isinstance(record.event, Checkpoint):
                models[record.event.step] = record.event.model
            elif isinstance(record.event, Track):
                tags |= record.event.tags
                params |= record.event.params
    return Heard(known=known, models=models, tags=tags, params=params)


def _is_address(to: str) -> bool:
    return to.startswith("https://")


def _artifact(to: str, run_id: str) -> str:
    found = re.fullmatch(rf"runs:/{re.escape(run_id)}/(.+)", to) if run_id else None
    return found[1] if found else ""
