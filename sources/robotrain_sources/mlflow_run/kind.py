"""The source kind `mlflow_run`: policies and checkpoints among the artifacts of tracking runs.

It shares the flag of registered models, whose hook registers both kinds in order.
"""

import re
from pathlib import Path

from robotrain.model.source import SourceError, SourceKind
from robotrain.redaction import holds_secret

from robotrain_sources.mlflow_run import reference
from robotrain_sources.role_flags import CHECKPOINT, POLICY_MODEL

_HINT = r"(?i)\s*(?:runs|mlflow-artifacts):"


def parse_source(text: str, base: Path) -> reference.RunArtifact:
    """Return the artifacts that `text` names. Raise SourceError."""
    if holds_secret(text):
        raise SourceError("The address seems to contain a secret, and a job must not contain secrets.")
    return reference.parse_run_artifact(text)


KIND = SourceKind(
    name=reference.RunArtifact.kind,
    title="artifacts of tracking runs",
    schemes=("runs",),
    form=reference.FORM,
    example="runs:/0123456789abcdef0123456789abcdef/checkpoints/000400",
    help="A policy or checkpoint among the artifacts of a run that is tracked where the job is.",
    roles={"policy": POLICY_MODEL, "checkpoint": CHECKPOINT},
    recognizes=lambda text: bool(re.match(_HINT, text)),
    parse=parse_source,
    container_plugin="robotrain_sources.mlflow_run.container",
    requires="tracking",
)
