"""What a platform declares it can do: plain data, with a reason for every no."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Support:
    """One answer. Only `yes` is true; what nobody declared is unknown. reason and instead are for people."""

    level: Literal["yes", "not_yet", "no", "unknown"]
    reason: str = ""
    instead: str = ""

    def __bool__(self) -> bool:
        return self.level == "yes"


YES = Support("yes")
UNKNOWN = Support("unknown", "the platform does not say")
ANY = "*"
"""As a workload's name in a declaration: those not named, a stranger's among them."""


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
    "publish_folder": "copy checkpoints to a folder",
}
"""The features core knows of; a workload or a platform may name further ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """A platform's declaration.

    sources: by (role, kind). workloads, features: by name.
    """

    sources: Mapping[tuple[str, str], Support] = field(default_factory=dict)
    workloads: Mapping[str, Support] = field(default_factory=dict)
    features: Mapping[str, Support] = field(default_factory=dict)

    def source(self, role: str, kind: str) -> Support:
        """Whether inputs of `kind` can fill `role`."""
        return self.sources.get((role, kind), UNKNOWN)

    def workload(self, name: str) -> Support:
        """Whether the workload can run."""
        return self.workloads.get(name, self.workloads.get(ANY, UNKNOWN))

    def feature(self, name: str) -> Support:
        """Whether the feature is there."""
        return self.features.get(name, UNKNOWN)

    def kinds(self, role: str) -> tuple[str, ...]:
        """The kinds accepted for `role`, in the order declared."""
        return tuple(kind for (declared, kind), support in self.sources.items() if declared == role and support)
