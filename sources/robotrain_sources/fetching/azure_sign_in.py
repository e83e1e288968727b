"""How robotrain signs in to Azure: the order of identities, and what a request needs of them."""

import base64
import contextlib
import importlib
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture, limit_seconds

DESKTOP_CREDENTIALS = ("shared_token_cache", "visual_studio_code", "interactive_browser", "broker")
SIGN_IN_LIMITS = {"retry_total": 1, "connection_timeout": 5, "read_timeout": 10, "process_timeout": 10}
"""Short timeouts: a failed sign-in is reported within seconds."""


def make_azure_credential() -> Any:
    """Return Azure's default credential without the ways that need a desktop. Raise ModuleNotFoundError.

    It tries a secret in the environment, workload identity, a managed identity (AZURE_CLIENT_ID), `az login`, Azure
    PowerShell and `azd auth login`.
    """
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # its errors repeat what it logs
    exclusions: dict[str, Any] = {f"exclude_{name}_credential": True for name in DESKTOP_CREDENTIALS}
    return importlib.import_module("azure.identity").DefaultAzureCredential(**exclusions, **SIGN_IN_LIMITS)


def make_pipeline(base: str, *policies: Any, **options: Any) -> Any:
    """Return a client of azure-core that uses this machine's proxies; it signs in only with a policy for that."""
    pipeline_policies: Any = importlib.import_module("azure.core.pipeline.policies")
    steps = [pipeline_policies.UserAgentPolicy("robotrain"), pipeline_policies.ProxyPolicy(), *policies]
    return importlib.import_module("azure.core").PipelineClient(base, policies=steps, **options)


ANSWER_SECONDS = 60.0
"""How long a sign-in and the whole answer to a request may take: timeouts of the library begin again with each byte."""


def send_request(pipeline: Any, request: Any, **timeouts: float) -> Any:
    """Return the whole answer to a request. Raise what the pipeline raises, and TimeoutError."""
    seconds = limit_seconds(ANSWER_SECONDS)
    try:
        return DeadlineFuture(lambda: pipeline.send_request(request, **timeouts)).result(seconds)
    except DeadlineExceeded:
        raise TimeoutError(f"timed out: no whole answer in {seconds:.3g} s") from None


def make_token_policy(credential: Any, scope: str) -> Any:
    """Return the policy that sends a token of `credential` with each request."""
    return importlib.import_module("azure.core.pipeline.policies").BearerTokenCredentialPolicy(credential, scope)


def parse_token_claims(token: str) -> dict[str, Any]:
    """Return the claims of an access token, unverified; empty if it has none."""
    with contextlib.suppress(IndexError, ValueError):
        payload = token.split(".")[1]
        return parse_json_object(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {}


def parse_json_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object of an answer; empty for anything else."""
    with contextlib.suppress(ValueError, RecursionError):
        json_object = json.loads(text)
        return json_object if isinstance(json_object, dict) else {}
    return {}


FAILURE_SECONDS = 10.0
"""Seconds to cache a failure: sixty sources wait for it no longer than one."""


class ExpiringAnswer:
    """An answer or a failure that all threads share until it expires."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expires = 0.0
        self._answer: Any = None
        self._error: Exception | None = None

    def load(self, request: Callable[[], tuple[Any, float]]) -> Any:
        """Return the answer, from `request` if it expired: an answer and its seconds. Raise what `request` raises."""
        with self._lock:
            if time.time() > self._expires:
                self._answer, self._error, seconds = None, None, FAILURE_SECONDS
                try:
                    self._answer, seconds = request()
                except Exception as error:
                    self._error = error
                self._expires = time.time() + seconds
            if self._error:
                raise self._error
            return self._answer
