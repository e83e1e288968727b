"""Which identity of a compute a job signs in with, when nobody says."""

import os

NAME = "AZURE_CLIENT_ID"
OWN = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_USERNAME")
"""With one of these beside it, the name is that of a sign-in of this machine."""


def of_environment() -> tuple[str, str] | None:
    """The client id that the environment names for jobs (contract A.0), and where it stood."""
    said = os.environ.get(NAME)
    return (said, NAME) if said and not any(os.environ.get(name) for name in OWN) else None
