"""A look at whether the job's identity may read the secret that the job names; the secret itself nobody asks for."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from robotrain.problem import Instead, Problem
from robotrain_azure import roles
from robotrain_azure.refusal import role_line

from robotrain_azureml.look import job_identity
from robotrain_azureml.look.finding import problem
from robotrain_azureml.look.looking import Looking
from robotrain_azureml.order import Secret


def problems(looking: Looking, secret: Secret) -> Iterator[Problem]:
    """A role that is missing; nothing where the vault, or whom the job signs in as, is not seen. Raises ArmError."""
    name = (urlsplit(secret.uri).hostname or "").partition(".")[0]
    vault = roles.vault(looking.arm, looking.order.subscription, name)
    who = job_identity.holder(looking) if vault else None
    if who is None or not roles.lacks_secrets(looking.arm, vault, who.principal):
        return
    title = f"the identity of the job may not read the key vault {name}, which holds {secret.what}"
    why = f"None of its roles allows it, neither there nor above; {roles.SECRETS_USER} would."
    way = Instead(role_line(who.principal, roles.SECRETS_USER, vault), "takes effect after some minutes")
    yield problem("azure-role-missing", title, who.where, who.given, why, way, severity="warning")
