"""A look at the key vault of a secret: whether it answers. The secret is the job's to read; nobody signs in there."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from robotrain.problem import Instead, Problem

from robotrain_azureml.look.answers import answers
from robotrain_azureml.look.finding import problem
from robotrain_azureml.order import Secret


def problems(secret: Secret) -> Iterator[Problem]:
    """A vault without an answer: it may answer the job all the same, from its own network."""
    place = urlsplit(secret.uri)
    if place.scheme != "https":
        return
    if not answers(f"https://{place.netloc}/secrets?api-version=7.4"):
        vault = (place.hostname or "").partition(".")[0]
        yield problem(
            "azureml-vault-silent",
            f"the key vault {vault}, which holds {secret.what}, does not answer from here",
            secret.flag,
            secret.uri,
            "The name may be misspelt, or the vault lets in only its own network.",
            Instead(f"az keyvault show --name {vault}", "says whether it is there"),
            severity="warning",
        )
