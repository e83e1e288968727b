"""What a platform declares it can do, with a reason for every no, and how a no is worded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from robotrain.errors import Suggestion

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.source import SourceKind

SupportLevel = Literal["yes", "not_yet", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Support:
    """One answer. Only `yes` is true; what nobody declared is unknown. reason and instead are for people."""

    level: SupportLevel
    reason: str = ""
    suggestion: str = ""

    def __bool__(self) -> bool:
        return self.level == "yes"


YES = Support("yes")
UNKNOWN = Support("unknown", "the platform does not say")
ANY = "*"
"""In a declaration, in a name's place: those not named, a stranger's among them. Of source kinds only such as the
container fetches by itself: what a platform would have to mount is never meant. For a kind that requires a feature it
stands as far as the feature is there.
"""


def not_yet(reason: str, suggestion: str = "") -> Support:
    """Meant to come, not there."""
    return Support("not_yet", reason, suggestion)


def no(reason: str, suggestion: str = "") -> Support:
    """Not meant to come."""
    return Support("no", reason, suggestion)


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
    required_settings: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    def source(self, role: str, kind: SourceKind) -> Support:
        """Whether inputs of `kind` can fill `role`; of the role `publish`, whether it can be written to."""
        named = self.sources.get((role, kind.name))
        return self._find_default_support(role, kind) if named is None else named

    def _find_default_support(self, role: str, kind: SourceKind) -> Support:
        fetched = kind.target if role == "publish" else kind.container_plugin
        unlisted = kind.unsupported.get(role, kind.unsupported.get(ANY, UNKNOWN))
        answer = self.sources.get((role, ANY), unlisted) if fetched else unlisted
        needed = kind.requires if role != "publish" else ""
        return self.feature(needed) if answer and needed else answer

    def combination(self, kind: str, other: str) -> Support:
        """Whether datasets of the two kinds can be merged in one job, each of which is taken."""
        answer = self.find_declared_combination(kind, other)
        return self.feature("several_datasets") if answer is None else answer

    def find_declared_combination(self, kind: str, other: str) -> Support | None:
        """What is declared of the two kinds together; of a pair that is not named, what ANY says of either."""
        named = ((kind, other), (other, kind), (kind, ANY), (ANY, kind), (other, ANY), (ANY, other), (ANY, ANY))
        return next((self.combinations[pair] for pair in named if pair in self.combinations), None)

    def workload(self, name: str) -> Support:
        """Whether the workload can run."""
        return self.workloads.get(name, self.workloads.get(ANY, UNKNOWN))

    def feature(self, name: str) -> Support:
        """Whether the feature is there."""
        return self.features.get(name, self.features.get(ANY, UNKNOWN))

    def list_accepted_kinds(self, role: str, kinds: Mapping[str, SourceKind]) -> list[SourceKind]:
        """Those of `kinds` that can fill `role`: as declared, then the others."""
        declared = [name for declared, name in self.sources if declared == role and name in kinds]
        order = dict.fromkeys([*declared, *kinds])
        return [kinds[name] for name in order if role in kinds[name].roles and self.source(role, kinds[name])]


ListPlatforms = Callable[[], "Mapping[str, Platform]"]
"""The installed platforms; called only when something is refused, to say who would take it."""


def format_refusal(verb: str, support: Support) -> str:
    """What stands behind the platform's name: `does not accept`."""
    return f"does not say that it can {verb}" if support.level == "unknown" else f"does not {verb}"


def format_yet(support: Support) -> str:
    """What ends the sentence of a no that will not stay one."""
    return " yet" if support.level == "not_yet" else ""


def suggest_platforms(
    platform: Platform, platforms: ListPlatforms, accepts: Callable[[Capabilities], Any], remark: str
) -> tuple[Suggestion, ...]:
    """The other platforms that would take it."""
    return tuple(
        Suggestion(f"--platform {name}", remark)
        for name, other in platforms().items()
        if name != platform.name and accepts(other.capabilities)
    )


def collect_suggestions(support: Support, other_platforms: tuple[Suggestion, ...]) -> tuple[Suggestion, ...]:
    """The platform's own way out, then the others."""
    named = {way.text for way in other_platforms}
    return (
        *([Suggestion(support.suggestion)] if support.suggestion and support.suggestion not in named else []),
        *other_platforms,
    )
