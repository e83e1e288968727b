"""Azure's own chain of sign-ins, as a job has it."""

import importlib
import logging
from typing import Any

NOT_IN_A_JOB = ("shared_token_cache", "visual_studio_code", "powershell", "interactive_browser", "broker")
HASTE = {"retry_total": 1, "connection_timeout": 5, "read_timeout": 10, "process_timeout": 10}
"""A job that cannot sign in says so within seconds."""


def chain() -> Any:
    """Without what needs a desktop: a secret in the environment, workload identity, a managed identity (the one that
    AZURE_CLIENT_ID names), `az login` or `azd auth login`.
    """
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it has to say is in its errors
    without: dict[str, Any] = {f"exclude_{name}_credential": True for name in NOT_IN_A_JOB}
    return importlib.import_module("azure.identity").DefaultAzureCredential(**without, **HASTE)
