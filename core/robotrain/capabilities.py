"""What a platform declares it can do: plain data, with a reason for every no."""

from __future__ import annotations  # the kinds below are for checkers: importing them costs start-up

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from robotrain.source import SourceKind


Level = Literal["yes", "not_yet", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Support:
    """One answer. Only `yes` is true; what nobody declared is unknown. reason and instead are for people."""

    level: Level
    reason: str = ""
    instead: str = ""

    def __bool__(self) -> bool:
        return self.level == "yes"


YES = Support("yes")
UNKNOWN = Support("unknown", "the platform does not say")
ANY = "*"
"""In a declaration, in a name's place: those not named, a stranger's among them. Of source kinds only such as the
container fetches by itself: what a platform would have to mount is never meant. For a kind that requires a feature it
stands as far as the feature is there.
"""


def not_yet(reason: str, instead: str = "") -> Support:
    """Meant to come, not there."""
    return Support("not_yet", reason, instead)


def no(reason: str, instead: str = "") -> Support:
    """Not meant to come."""
    return Support("no", reason, instead)


FEATURES: Mapping[str, str] = {
    "register_model": "register checkpoints in a model registry",
    "multi_gpu": "train on several GPUs of one machine",
    "mixed_precision": "train in fp16 or bf16",
    "several_datasets": "merge several datasets before training",
    "stream_logs": "follow the log while the job runs",
    "cancel": "stop a run",
    "runs_here": "do the work on this very machine",
    "publish_folder": "copy what a run leaves to a folder",
    "wandb": "log to Weights & Biases",
    "tracking": "track a run with MLflow",
}
"""The features core knows of; a workload or a platform may name further ones."""


LIMITS: Mapping[str, str] = {
    "sources": "sources of one kind in a role",
    "spec_kib": "KiB of native spec",
}
"""The limits core knows of, and holds jobs to where a platform declares one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """A platform's declaration.

    sources: by (role, kind); of one that is not named, and that ANY does not stand for, the kind itself says why not.
    combinations: of two kinds of datasets in one job, by (kind, kind), in either order; what
    is not declared goes together where each of the two is taken, and several datasets are. workloads, features: by
    name. given_by: by feature, the setting without which a job has nothing of it. limits: by the names of LIMITS; what
    is not declared has no limit but robotrain's own.
    """

    sources: Mapping[tuple[str, str], Support] = field(default_factory=dict)
    combinations: Mapping[tuple[str, str], Support] = field(default_factory=dict)
    workloads: Mapping[str, Support] = field(default_factory=dict)
    features: Mapping[str, Support] = field(default_factory=dict)
    given_by: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    def source(self, role: str, kind: SourceKind) -> Support:
        """Whether inputs of `kind` can fill `role`; of the role `publish`, whether it can be written to."""
        named = self.sources.get((role, kind.name))
        return self._unnamed(role, kind) if named is None else named

    def _unnamed(self, role: str, kind: SourceKind) -> Support:
        fetched = kind.target if role == "publish" else kind.half
        unlisted = kind.unsupported.get(role, kind.unsupported.get(ANY, UNKNOWN))
        answer = self.sources.get((role, ANY), unlisted) if fetched else unlisted
        needed = kind.requires if role != "publish" else ""
        return self.feature(needed) if answer and needed else answer

    def combination(self, kind: str, other: str) -> Support:
        """Whether datasets of the two kinds can be merged in one job, each of which is taken."""
        answer = self.declared(kind, other)
        return self.feature("several_datasets") if answer is None else answer

    def declared(self, kind: str, other: str) -> Support | None:
        """What is declared of the two kinds together; of a pair that is not named, what ANY says of either."""
        named = ((kind, other), (other, kind), (kind, ANY), (ANY, kind), (other, ANY), (ANY, other), (ANY, ANY))
        return next((self.combinations[pair] for pair in named if pair in self.combinations), None)

    def workload(self, name: str) -> Support:
        """Whether the workload can run."""
        return self.workloads.get(name, self.workloads.get(ANY, UNKNOWN))

    def feature(self, name: str) -> Support:
        """Whether the feature is there."""
        return self.features.get(name, self.features.get(ANY, UNKNOWN))

    def accepted(self, role: str, kinds: Mapping[str, SourceKind]) -> list[SourceKind]:
        """Those of `kinds` that can fill `role`: as declared, then the others."""
        declared = [name for declared, name in self.sources if declared == role and name in kinds]
        order = dict.fromkeys([*declared, *kinds])
        return [kinds[name] for name in order if role in kinds[name].roles and self.source(role, kinds[name])]
