"""Where a job finds the secret that it reads private data with: an address in a key vault, never what lies there."""

import re

from robotrain.job import Job
from robotrain_azure import cloud, secret_like

from robotrain_azureml.settings import Settings

FORM = "https://VAULT.vault.azure.net/secrets/NAME"
VAULT = r"(?=[A-Za-z0-9-]{3,24}(?![A-Za-z0-9-]))[a-z](?:-?[a-z0-9])*"
NAME = r"[A-Za-z0-9-]{1,127}"
_SUFFIX = "|".join(re.escape(suffix) for suffix in cloud.VAULTS)
_ADDRESS = rf"https://((?i:{VAULT}\.(?:{_SUFFIX})))/secrets/({NAME})(?:/([0-9a-f]{{32}}))?/?"


class SecretError(ValueError):
    """A text that names no secret. The message does not repeat it."""


def reads_hub(job: Job) -> bool:
    """Whether the job reads anything of the Hub that may be private; the training itself asks nothing of it."""
    return any(source.kind == "huggingface" for source in job.sources)


def hugging_face(job: Job, settings: Settings) -> str:
    """The address of the Hub's token; empty where none is named, or the job reads nothing of the Hub.

    Raises SecretError.
    """
    if not settings.hf_credential or not reads_hub(job):
        return ""
    return address(settings.hf_credential, settings.key_vault or "")


def address(text: str, vault: str) -> str:
    """The address of a secret that is named alone, in a vault, or with its whole address. Raises SecretError."""
    if found := re.fullmatch(_ADDRESS, text, re.ASCII):
        host, name, version = found.groups()
        _judge(name)
        return f"https://{host.lower()}/secrets/{name}{f'/{version}' if version else ''}"
    _judge(text)
    if not re.fullmatch(NAME, text):
        raise SecretError(f"It is the name of a secret, letters, digits and `-`, or {FORM}.")
    return f"https://{vault.lower()}.{cloud.here().vault}/secrets/{text}"


def _judge(text: str) -> None:
    if text.lower().startswith("hf_") or secret_like.looks_secret(text):
        raise SecretError("This looks like a token itself: a job never carries one, only where it lies.")
