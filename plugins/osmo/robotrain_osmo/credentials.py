"""OSMO credentials as a person names them: `NAME`, or `NAME:KEY`. Only names; what they hold never comes by here."""

import re
from dataclasses import dataclass

from robotrain.job import Job
from robotrain_azure import secret_like

from robotrain_osmo import names
from robotrain_osmo.settings import Settings

FORM = "NAME[:KEY]"
MOUNT = "/opt/robotrain/credentials"
"""Where a credential that is read as files lies in the container: one file a key."""
_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


@dataclass(frozen=True, slots=True)
class Named:
    """One that a workflow refers to. setting: that names it. what: it holds, in words. environ: the name of the
    environment that it becomes; empty for one that becomes files.
    """

    name: str
    key: str
    setting: str
    what: str
    environ: str = ""


class CredentialError(ValueError):
    """A text that names no credential. The message does not repeat it."""


def named(text: str, key: str) -> tuple[str, str]:
    """The name and the key of a text. key: where it says none. Raises CredentialError."""
    name, colon, said = text.partition(":")
    if secret_like.looks_secret(text):
        raise CredentialError("This looks like a token itself: a job never carries one, only the name of a credential.")
    if not re.fullmatch(names.NAME, name):
        raise CredentialError("A credential's name is letters, digits, `_` and `-`, with a letter first.")
    if colon and not re.fullmatch(_KEY, said):
        raise CredentialError("The key after `:` is letters, digits, `_`, `.` and `-`.")
    return name, said or key


def used(job: Job, settings: Settings) -> tuple[Named, ...]:
    """Those that a job refers to. Raises CredentialError."""
    found = []
    if (text := settings.hf_credential) and reads_hub(job):
        found.append(Named(*named(text, "hf_token"), "--hf-credential", "your Hugging Face token", "HF_TOKEN"))
    if wandb(job):
        text = settings.wandb_credential
        what = "your Weights & Biases key"
        found.append(Named(*named(text, "wandb_api_key"), "--wandb-credential", what, "WANDB_API_KEY"))
    if text := settings.blob_credential:
        what = "an account key, a SAS or a token of the storage account"
        found.append(Named(*named(text, "access_key"), "--blob-credential", what))
    return tuple(found)


def reads_hub(job: Job) -> bool:
    """Whether the job reads anything of the Hub that may be private; the training itself asks nothing of it."""
    return any(source.kind == "huggingface" for source in job.sources)


def wandb(job: Job) -> bool:
    """Whether the job logs to Weights & Biases."""
    return dict(job.parameters).get("wandb") is True


def references(used: tuple[Named, ...]) -> dict[str, str | dict[str, str]]:
    """What a task says of them: names of the environment, or a folder."""
    found: dict[str, str | dict[str, str]] = {}
    for one in used:
        before = found.get(one.name, {})
        assert isinstance(before, dict)  # `check` refuses one that is both
        found[one.name] = {**before, one.environ: one.key} if one.environ else MOUNT
    return found
