"""Rules on the secret that holds a Hugging Face token: where it lies, never what it is."""

import re
from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem, Stage
from robotrain_azure.finding import missing, ways

from robotrain_azureml import vault_secret
from robotrain_azureml.rules.finding import unfit
from robotrain_azureml.settings import Settings

FLAG, VAULT = "--hf-credential", "--key-vault"


def wrong_with(job: Job, settings: Settings) -> Iterator[Problem]:
    """A text that names no secret, also where this job does not need it: it may be the token."""
    text, vault = settings.hf_credential, settings.key_vault or ""
    if not text:
        return
    try:
        vault_secret.address(text, vault)
    except vault_secret.SecretError as error:
        yield Problem(  # what was given is not repeated: it may be the secret itself
            code="azureml-secret-invalid",
            stage=Stage.PARSE,
            title=f"{FLAG} takes the name or the address of a key vault's secret, and this is none",
            where=FLAG,
            why=str(error),
            instead=ways(f"{FLAG} hf-token {VAULT} NAME", f"{FLAG} {vault_secret.FORM}"),
        )
        return
    if vault_secret.reads_hub(job) and not text.startswith("https:"):
        yield from _vault(vault)


def _vault(name: str) -> Iterator[Problem]:
    """The one that a secret is named in."""
    if not name:
        why = "A secret is found by its name in a vault, or by its whole address."
        instead = ways(f"{VAULT} NAME", f"{FLAG} {vault_secret.FORM}")
        yield missing("azureml-vault-missing", "nobody said which key vault holds the token", VAULT, why, instead)
    elif not re.fullmatch(vault_secret.VAULT, name, re.IGNORECASE | re.ASCII):
        host = re.match(rf"https://({vault_secret.VAULT})\.", name, re.IGNORECASE | re.ASCII)
        why = "It is 3 to 24 letters, digits and single dashes, a letter first."
        yield unfit(VAULT, name, "the name of a key vault", why, ways(f"{VAULT} {host[1]}" if host else ""))
