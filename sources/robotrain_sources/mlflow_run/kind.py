"""Declares `mlflow_run`: policies among the artifacts of tracking runs.

Its flag is that of registered models, whose hook brings it: they are asked first when a text tells nothing.
"""

import re
from pathlib import Path

from robotrain.redaction import holds_secret
from robotrain.source import SourceError, SourceKind

from robotrain_sources.mlflow_run import artifact
from robotrain_sources.roles import POLICY_MODEL

_MEANT = r"(?i)\s*(?:runs|mlflow-artifacts):"


def recognises(text: str) -> bool:
    """Whether the text looks like an address of artifacts."""
    return bool(re.match(_MEANT, text))


def parse(text: str, base: Path) -> artifact.RunArtifact:
    """The artifacts that `text` names. Raises SourceError."""
    if holds_secret(text):
        raise SourceError("The address holds what looks like a secret, and a job never carries a secret.")
    try:
        return artifact.parse(text)
    except artifact.RunArtifactError as refused:
        raise SourceError(refused.why, refused.instead) from None


KIND = SourceKind(
    name=artifact.RunArtifact.kind,
    title="artifacts of tracking runs",
    schemes=("runs",),
    form=artifact.FORM,
    example="runs:/0123456789abcdef0123456789abcdef/checkpoints/000400",
    help="A policy among the artifacts of a run that is tracked where the job is.",
    roles={"policy": POLICY_MODEL},
    recognises=recognises,
    parse=parse,
    half="robotrain_sources.mlflow_run.container",
    requires="tracking",
)
