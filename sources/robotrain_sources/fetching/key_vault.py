"""Azure key vaults as a store of secrets for the work of a job (`secrets.key_vault` in a job document)."""

from robotrain_runtime.contract.problem import ProblemError, make_data_problem

from robotrain_sources.fetching import named_secret
from robotrain_sources.fetching.errors import FetchError


def accepts(address: str) -> bool:
    """Return whether an address is that of a secret in a key vault."""
    return named_secret.parse_vault_address(address) is not None


def read(address: str) -> str:
    """Return the secret. Raise ProblemError."""
    try:
        return named_secret.read_secret(address, "a secret")
    except FetchError as error:
        raise ProblemError(make_data_problem(error.sentence, error.way)) from None
