"""Capabilities of a platform: what it supports, and why it does not support the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from robotrain.model.source import SourceKind
from robotrain.model.support import ANY, UNKNOWN, Support

FEATURES: Mapping[str, str] = {
    "register_model": "register checkpoints in a model registry",
    "multi_gpu": "train on several GPUs of one machine",
    "multi_node": "train on several nodes together",
    "mixed_precision": "train in fp16 or bf16",
    "several_datasets": "merge several datasets before training",
    "stream_logs": "follow the log while the job runs",
    "cancel": "stop a run",
    "shell": "open a shell where a run works",
    "notify": "let a run tell a webhook how it ended",
    "adopt": "record a run that another machine submitted",
    "runs_here": "do the work on this very machine",
    "publish_folder": "copy what a run leaves to a folder",
    "wandb": "log to Weights & Biases",
    "tracking": "track a run with MLflow",
    "native_dag": "run a pipeline on its own, without this machine",
}
"""The features core knows; a workload or a platform may declare others."""


LIMITS: Mapping[str, str] = {
    "sources": "sources of one kind in a role",
    "spec_kib": "KiB of native spec",
    "steps": "steps of a native pipeline",
}
"""The limits that core checks where a platform declares one."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a platform declares that it supports."""

    sources: Mapping[tuple[str, str], Support] = field(default_factory=dict)
    """By (role, kind). A kind that is neither listed nor covered by ANY declares itself why it is unsupported."""
    combinations: Mapping[tuple[str, str], Support] = field(default_factory=dict)
    """By (kind, kind) in either order: two kinds of datasets in one job. Undeclared pairs need `several_datasets`."""
    workloads: Mapping[str, Support] = field(default_factory=dict)
    features: Mapping[str, Support] = field(default_factory=dict)
    required_settings: Mapping[str, str] = field(default_factory=dict)
    """By feature: the setting that a job must set to use it."""
    disabled_by: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By feature: a setting and its value that turn the feature off for a job."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """By the names of LIMITS."""

    def source(self, role: str, kind: SourceKind) -> Support:
        """Return whether sources of `kind` can fill `role`; for the role `publish`, whether it can be written to."""
        if (declared_support := self.sources.get((role, kind.name))) is not None:
            return declared_support
        container_part = kind.target if role == "publish" else kind.container_plugin
        default_support = kind.unsupported.get(role, kind.unsupported.get(ANY, UNKNOWN))
        support = self.sources.get((role, ANY), default_support) if container_part else default_support
        required_feature = kind.requires if role != "publish" else ""
        return self.feature(required_feature) if support and required_feature else support

    def combination(self, kind: str, other: str) -> Support:
        """Return whether datasets of two accepted kinds can be merged in one job."""
        declared_support = self.find_declared_combination(kind, other)
        return self.feature("several_datasets") if declared_support is None else declared_support

    def find_declared_combination(self, kind: str, other: str) -> Support | None:
        """Return what is declared for two kinds, by their names or by ANY; None if nothing is."""
        kind_pairs = ((kind, other), (other, kind), (kind, ANY), (ANY, kind), (other, ANY), (ANY, other), (ANY, ANY))
        return next((self.combinations[pair] for pair in kind_pairs if pair in self.combinations), None)

    def workload(self, name: str) -> Support:
        """Return whether the workload can run."""
        return self.workloads.get(name, self.workloads.get(ANY, UNKNOWN))

    def feature(self, name: str) -> Support:
        """Return whether the feature is supported."""
        return self.features.get(name, self.features.get(ANY, UNKNOWN))

    def find_missing_setting(self, feature: str, settings: Mapping[str, Any]) -> tuple[str, str]:
        """Return the setting that a feature lacks in a job, and its value that turns the feature off, or nothing.

        Both are empty where the job has the feature.
        """
        required_setting = self.required_settings.get(feature, "")
        name, off_value = self.disabled_by.get(feature, ("", ""))
        if required_setting and not settings.get(required_setting):
            return required_setting, ""
        return (name, off_value) if name and settings.get(name) == off_value else ("", "")

    def list_accepted_kinds(self, role: str, kinds: Mapping[str, SourceKind]) -> list[SourceKind]:
        """Return those of `kinds` that can fill `role`: first the declared ones, in order of declaration."""
        declared = [name for declared, name in self.sources if declared == role and name in kinds]
        order = dict.fromkeys([*declared, *kinds])
        return [kinds[name] for name in order if role in kinds[name].roles and self.source(role, kinds[name])]
