"""Azure's resource manager, asked over HTTPS as whoever is signed in; proxies and certificates are the environment's.

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
from robotrain_azure.cloud import here
from robotrain_azure.own_words import of as own_words
from robotrain_azure.sign_in import NOBODY, STALE

SIGNED_OUT, UNREACHABLE = "not-signed-in", "unreachable"
"""The codes of what went wrong before there was an answer."""
PASSING = (408, 429, 500, 502, 503, 504)
RENEWALS = "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES"
LIMITS = {"connection_timeout": 5, "read_timeout": 10}
LONGEST_PAUSE = 5.0
HTTPS = ":443"

UNREACHED = r"Failed to (?:resolve '[\w.-]+'|establish a new connection)|Unable to connect to proxy|timed out|SSLError"
"""In the texts of Azure's libraries: why there was no answer."""
REASON = r"AADSTS\d+: [^.\n]*|No User Assigned[\w ]* Managed Identity found[\w ]*|Identity not found"
"""Likewise: why a sign-in was refused."""
NO_SIGN_IN = "ClientAuthenticationError"
NO_ANSWER = frozenset({"ServiceRequestError", "ServiceResponseError", "IncompleteReadError"})
"""Of their errors."""


class ArmError(OSError):
    """It was not done. The text says why. status: of the answer, 0 without one. code: the service's own word."""

    def __init__(self, sentence: str, status: int = 0, code: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code


class Arm:
    """One who asks. patience: the seconds for which what may pass by itself is tried again. host: in place of the
    manager's, one that takes the same tokens. Raises ArmError.
    """

    def __init__(self, patience: float = 0.0, host: str = "") -> None:
        self._patience = patience
        self._base = f"https://{host or here().manager}"
        self._pipeline: Any = None

    def get(self, path: str, version: str, **query: str) -> dict[str, Any]:
        """One resource. version: of its API."""
        return self._asked("GET", self._base + path, {"api-version": version, **query})

    def put(self, path: str, version: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a resource, or change it: as it is then."""
        return self._asked("PUT", self._base + path, {"api-version": version}, body)

    def post(self, path: str, version: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have something done: what it answers, empty for an answer without a body."""
        return self._asked("POST", self._base + path, {"api-version": version}, dict(body or {}))

    def all(self, path: str, version: str, **query: str) -> Iterator[dict[str, Any]]:
        """A list, over all its pages."""
        page = self.get(path, version, **query)
        while True:
            yield from page.get("value") or ()
            following = str(page.get("nextLink") or "")
            if not following:
                return
            if not self._is_here(following):  # a token goes nowhere else
                raise ArmError(f"the next page of {path} lies on another host")
            page = self._asked("GET", following, {})

    def _asked(self, method: str, url: str, query: Mapping[str, str], body: object = None) -> dict[str, Any]:
        until, pause, renewals = time.monotonic() + self._patience, 1.0, _renewals()
        while True:
            try:
                return self._once(method, url, query, body)
            except ArmError as error:
                if error.status == 401 and error.code in STALE and renewals:
                    credential.forget()
                    self._pipeline, renewals = None, renewals - 1
                elif _may_pass(error) and time.monotonic() + pause < until:
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                else:
                    raise

    def _once(self, method: str, url: str, query: Mapping[str, str], body: object) -> dict[str, Any]:
        try:
            request = importlib.import_module("azure.core.rest").HttpRequest(method, url, params=query, json=body)
            answer = self._sender().send_request(request, **LIMITS)
        except ModuleNotFoundError as error:
            raise ArmError("azure-identity, which signs in to Azure, is not installed here", code=SIGNED_OUT) from error
        except Exception as error:
            raise without_answer(error, url.split("/")[2]) from error
        if answer.status_code >= 400:
            raise _refused(answer.status_code, answer.text())
        return _object(answer.text())

    def _is_here(self, url: str) -> bool:
        """Whether it is of the same host, with the port said or not."""
        asked, own = urlsplit(url), urlsplit(self._base)
        return asked.scheme == own.scheme and _place(asked.netloc) == _place(own.netloc)

    def _sender(self) -> Any:
        pipeline = self._pipeline  # another thread may throw it away
        if pipeline is None:
            policies: Any = importlib.import_module("azure.core.pipeline.policies")
            scope = f"https://{here().manager}/.default"
            signing = policies.BearerTokenCredentialPolicy(credential.shared(), scope)
            made = [policies.UserAgentPolicy("robotrain"), policies.ProxyPolicy(), signing]
            pipeline = importlib.import_module("azure.core").PipelineClient(self._base, policies=made)
            self._pipeline = pipeline
        return pipeline


def _place(netloc: str) -> str:
    return netloc.lower().removesuffix(HTTPS)


def _renewals() -> int:
    said = os.environ.get(RENEWALS, "")
    return int(said) if said.isdecimal() else 3


def _may_pass(error: ArmError) -> bool:
    return error.status in PASSING or error.code == UNREACHABLE


def without_answer(error: BaseException, host: str) -> ArmError:
    """For a sign-in that failed, or a request to that host which got no answer."""
    kinds = {base.__name__ for base in type(error).__mro__}
    unreached = re.search(UNREACHED, str(error))
    reason = re.search(REASON, str(error))
    if NO_SIGN_IN in kinds and (reason or not unreached):
        told = f" ({reason[0]})" if reason else ""
        return ArmError(f"{NOBODY}{told}", code=SIGNED_OUT)
    broken = "the connection broke off" if kinds & NO_ANSWER else type(error).__name__
    what = "Azure's sign-in" if NO_SIGN_IN in kinds else host
    return ArmError(f"{what} cannot be reached ({unreached[0] if unreached else broken})", code=UNREACHABLE)


def _refused(status: int, text: str) -> ArmError:
    """For an answer of 400 or more: with its own words."""
    said = _object(text).get("error")
    said = said if isinstance(said, dict) else {}
    code, words = str(said.get("code") or ""), own_words(str(said.get("message") or ""), status)
    return ArmError(f"{words} (HTTP {status} {code})".replace(" )", ")"), status, code)


def _object(text: str) -> dict[str, Any]:
    """The JSON object of an answer; empty for anything else."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
