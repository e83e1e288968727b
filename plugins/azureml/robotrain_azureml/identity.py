"""The managed identity that a job signs in with: the order in which it is found, and how the job names it.

1. `--workload-identity`, or the setting of that name in a job file, the environment or the project's settings.
2. AZURE_CLIENT_ID in the environment, unless this machine signs in with it (`find_environment_identity`).
3. At submission: the first identity of the compute, asked of the workspace.
4. Otherwise the job names none and signs in as its compute itself: with its system-assigned identity, if it has one.
"""

import os
from collections.abc import Mapping

CLIENT_ID_VARIABLE = "AZURE_CLIENT_ID"
SIGN_IN_VARIABLES = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USERNAME",
)
"""With one of these set, AZURE_CLIENT_ID is this machine's sign-in, not the job's identity."""


def find_environment_identity() -> tuple[str, str] | None:
    """Return the client id that the environment sets for jobs (contract A.0), and its variable."""
    client_id = os.environ.get(CLIENT_ID_VARIABLE)
    if not client_id or any(os.environ.get(name) for name in SIGN_IN_VARIABLES):
        return None
    return client_id, CLIENT_ID_VARIABLE


def make_identity(client_id: str | None) -> Mapping[str, str]:
    """Return the `identity` of a command job: that of its compute, which has several if a client id names one."""
    return {"type": "managed", **({"client_id": client_id} if client_id else {})}


def make_identity_variables(client_id: str | None) -> Mapping[str, str]:
    """Return the environment variable that names the identity to the job's process."""
    return {CLIENT_ID_VARIABLE: client_id} if client_id else {}
