"""A client of Azure's resource manager. Needs azure-identity, imported with the first request.

Needs azure-identity, which is imported when something is asked.
"""

import importlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from robotrain_azure import credential
from robotrain_azure.credential import EXPIRED_TOKEN_CODES, NOT_SIGNED_IN
from robotrain_azure.workspace import get_cloud

SIGNED_OUT, UNREACHABLE = "not-signed-in", "unreachable"
"""The codes of what went wrong before there was an answer."""
TRANSIENT_STATUSES = (408, 429, 500, 502, 503, 504)
RENEWALS_VARIABLE = "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES"
TIMEOUTS = {"connection_timeout": 5, "read_timeout": 10}
LONGEST_PAUSE = 5.0
HTTPS_PORT = ":443"

UNREACHED_PATTERN = (
    r"Failed to (?:resolve '[\w.-]+'|establish a new connection)|Unable to connect to proxy|timed out|SSLError"
)
"""In the texts of Azure's libraries: why there was no answer."""
SIGN_IN_REASON_PATTERN = r"AADSTS\d+: [^.\n]*|No User Assigned[\w ]* Managed Identity found[\w ]*|Identity not found"
"""Likewise: why a sign-in was refused."""
SIGN_IN_ERROR = "ClientAuthenticationError"
NO_ANSWER_ERRORS = frozenset({"ServiceRequestError", "ServiceResponseError", "IncompleteReadError"})
"""Of their errors."""


class ArmError(OSError):
    """It was not done. The text says why. status: of the answer, 0 without one. code: the service's own word."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ArmClient:
    """One who asks. patience: the seconds for which what may pass by itself is tried again. host: in place of the
    manager's, one that takes the same tokens. Raises ArmError.
    """

    def __init__(self, patience: float = 0.0, host: str = "") -> None:
        self._patience = patience
        self._base = f"https://{host or get_cloud().manager}"
        self._pipeline: Any = None

    def get(self, path: str, version: str, **query: str) -> dict[str, Any]:
        """One resource. version: of its API."""
        return self._send_with_retries("GET", self._base + path, {"api-version": version, **query})

    def create_or_update(self, path: str, version: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a resource, or change it: as it is then."""
        return self._send_with_retries("PUT", self._base + path, {"api-version": version}, body)

    def post(self, path: str, version: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have something done: what it answers, empty for an answer without a body."""
        return self._send_with_retries("POST", self._base + path, {"api-version": version}, dict(body or {}))

    def list_all(self, path: str, version: str, **query: str) -> Iterator[dict[str, Any]]:
        """A list, over all its pages."""
        page = self.get(path, version, **query)
        while True:
            yield from page.get("value") or ()
            following = str(page.get("nextLink") or "")
            if not following:
                return
            if not self._is_same_host(following):  # a token goes nowhere else
                raise ArmError(f"the next page of {path} lies on another host")
            page = self._send_with_retries("GET", following, {})

    def _send_with_retries(
        self, method: str, url: str, query: Mapping[str, str], body: object = None
    ) -> dict[str, Any]:
        until, pause, renewals = time.monotonic() + self._patience, 1.0, _read_max_renewals()
        while True:
            try:
                return self._send_request(method, url, query, body)
            except ArmError as error:
                if error.status == 401 and error.code in EXPIRED_TOKEN_CODES and renewals:
                    credential.clear_shared_credential()
                    self._pipeline, renewals = None, renewals - 1
                elif _is_transient(error) and time.monotonic() + pause < until:
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                else:
                    raise

    def _send_request(self, method: str, url: str, query: Mapping[str, str], body: object) -> dict[str, Any]:
        try:
            request = importlib.import_module("azure.core.rest").HttpRequest(method, url, params=query, json=body)
            answer = self._get_pipeline().send_request(request, **TIMEOUTS)
        except ModuleNotFoundError as error:
            raise ArmError("azure-identity, which signs in to Azure, is not installed here", code=SIGNED_OUT) from error
        except Exception as error:
            raise make_no_answer_error(error, url.split("/")[2]) from error
        if answer.status_code >= 400:
            raise _make_refusal_error(answer.status_code, answer.text())
        return _parse_object(answer.text())

    def _is_same_host(self, url: str) -> bool:
        """Whether it is of the same host, with the port said or not."""
        asked, own = urlsplit(url), urlsplit(self._base)
        return asked.scheme == own.scheme and _normalize_host(asked.netloc) == _normalize_host(own.netloc)

    def _get_pipeline(self) -> Any:
        pipeline = self._pipeline  # another thread may throw it away
        if pipeline is None:
            policies: Any = importlib.import_module("azure.core.pipeline.policies")
            scope = f"https://{get_cloud().manager}/.default"
            signing = policies.BearerTokenCredentialPolicy(credential.get_shared_credential(), scope)
            made = [policies.UserAgentPolicy("robotrain"), policies.ProxyPolicy(), signing]
            pipeline = importlib.import_module("azure.core").PipelineClient(self._base, policies=made)
            self._pipeline = pipeline
        return pipeline


def _normalize_host(netloc: str) -> str:
    return netloc.lower().removesuffix(HTTPS_PORT)


def _read_max_renewals() -> int:
    said = os.environ.get(RENEWALS_VARIABLE, "")
    return int(said) if said.isdecimal() else 3


def _is_transient(error: ArmError) -> bool:
    return error.status in TRANSIENT_STATUSES or error.code == UNREACHABLE


def make_no_answer_error(error: BaseException, host: str) -> ArmError:
    """For a sign-in that failed, or a request to that host which got no answer."""
    kinds = {base.__name__ for base in type(error).__mro__}
    unreached = re.search(UNREACHED_PATTERN, str(error))
    reason = re.search(SIGN_IN_REASON_PATTERN, str(error))
    if SIGN_IN_ERROR in kinds and (reason or not unreached):
        told = f" ({reason[0]})" if reason else ""
        return ArmError(f"{NOT_SIGNED_IN}{told}", code=SIGNED_OUT)
    broken = "the connection broke off" if kinds & NO_ANSWER_ERRORS else type(error).__name__
    what = "Azure's sign-in" if SIGN_IN_ERROR in kinds else host
    return ArmError(f"{what} cannot be reached ({unreached[0] if unreached else broken})", code=UNREACHABLE)


def _make_refusal_error(status: int, text: str) -> ArmError:
    """For an answer of 400 or more: with its own words."""
    said = _parse_object(text).get("error")
    said = said if isinstance(said, dict) else {}
    code, words = str(said.get("code") or ""), shorten_message(str(said.get("message") or ""), status)
    return ArmError(f"{words} (HTTP {status} {code})".replace(" )", ")"), status, code)


def _parse_object(text: str) -> dict[str, Any]:
    """The JSON object of an answer; empty for anything else."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


FULL_TEXT_STATUSES = (400, 409, 412, 422)
"""Answers about what was sent: the reason may stand in any sentence. Of other answers the rest is advice of Azure's."""


def shorten_message(text: str, status: int = 0) -> str:
    """In one line, without the last full stop. status: of the answer. It may hold what must not be shown."""
    said = " ".join(text.split())
    if status not in FULL_TEXT_STATUSES:
        said = re.split(r"(?<=\.)\s", said, maxsplit=1)[0]
    return said.rstrip(". ") or "no reason was given"
