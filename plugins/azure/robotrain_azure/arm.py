"""A client of Azure's resource manager. It needs azure-identity, which is imported with the first request."""

import importlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from robotrain_runtime.contract.files import format_duration
from robotrain_sources.fetching.azure_sign_in import make_pipeline, make_token_policy, send_request
from robotrain_sources.fetching.errors import (
    SIGN_IN_REASON_PATTERN,
    UNREACHABLE_PATTERN,
    get_class_names,
    iter_causes,
)

from robotrain_azure import credential
from robotrain_azure.credential import EXPIRED_TOKEN_CODES
from robotrain_azure.workspace import get_cloud

API_VERSION = "2024-04-01"
"""The version of Azure ML's resources."""
SIGNED_OUT, UNREACHABLE = "not-signed-in", "unreachable"
"""`ServiceError.code` of a request that got no answer."""
UNREADABLE = "unreadable-answer"
"""`ServiceError.code` of an answer that is not what Azure documents."""
TRANSIENT_STATUSES = (408, 429, 500, 502, 503, 504)
RENEWALS_VARIABLE = "MLFLOW_TRACKING_TOKEN_REFRESH_RETRIES"
TIMEOUTS = {"connection_timeout": 5, "read_timeout": 10}
LONGEST_PAUSE = 5.0
LONG_PAUSE = 60.0
"""A pause in seconds that messages name, if Azure asks for it."""

UNREACHED_PATTERN = rf"{UNREACHABLE_PATTERN}|SSLError"
"""Why there was no answer, in the error texts of Azure's libraries."""
SIGN_IN_ERROR = "ClientAuthenticationError"
NO_ANSWER_ERRORS = frozenset({"ServiceRequestError", "ServiceResponseError", "IncompleteReadError"})
"""Class names of errors in Azure's libraries."""
BROKEN_OFF_ERRORS = frozenset({"ServiceResponseError", "IncompleteReadError"})
BROKEN_OFF_PATTERN = r"(?i)timed out|connection aborted|connection reset|RemoteDisconnected"
"""Of a connection that was made, or of a host that may answer the next time."""


class ServiceError(OSError):
    """A failed request to Azure.

    `status` is the HTTP status, 0 without an answer that can be read; `code` is Azure's error code, SIGNED_OUT,
    UNREACHABLE or UNREADABLE.
    """

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def is_transient(self) -> bool:
        """Whether the request may succeed later: no network, or a service that is down or busy."""
        return self.status in TRANSIENT_STATUSES or self.code == UNREACHABLE


class ArmError(ServiceError):
    """A failed request to the resource manager."""

    retry_after = 0.0
    """The seconds to wait that Azure asked for."""
    broke_off = False
    """Whether the connection was reset or timed out."""

    @property
    def is_passing(self) -> bool:
        """Whether waiting helps: not if a host has no address or refuses connections."""
        return self.is_transient and (bool(self.status) or self.broke_off)


class StorageError(ServiceError):
    """A failed request to storage; the message has no full stop.

    `account`: the storage account. `signed`: a key or signature was used, so the caller's roles do not matter.
    """

    def __init__(self, message: str, status: int = 0, code: str = "", account: str = "", signed: bool = False) -> None:
        super().__init__(message, status, code)
        self.account = account
        self.signed = signed


class Answer(dict[str, Any]):
    """An object of an answer. A field that is absent or null is empty; one of another type raises ArmError."""

    def get_object(self, name: str) -> "Answer":
        """Return an object."""
        return self._get(name, Answer, "an object") or Answer()

    def get_objects(self, name: str) -> list["Answer"]:
        """Return a list of objects."""
        objects: list[Answer] = self._get(name, list, "a list") or []
        if not all(isinstance(member, Answer) for member in objects):
            raise make_unreadable_error(f"{name!r} is not a list of objects")
        return objects

    def get_text(self, name: str) -> str:
        """Return a text."""
        return self._get(name, str, "a text") or ""

    def get_texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        texts: list[str] = self._get(name, list, "a list") or []
        if not all(isinstance(member, str) for member in texts):
            raise make_unreadable_error(f"{name!r} is not a list of texts")
        return texts

    def require_text(self, name: str) -> str:
        """Return a text that every such object has."""
        if member_text := self.get_text(name):
            return member_text
        raise make_unreadable_error(f"{name!r} is missing")

    def _get(self, name: str, kind: type, noun: str) -> Any:
        member = self.get(name)
        if member is None or isinstance(member, kind):
            return member
        raise make_unreadable_error(f"{name!r} is not {noun}")


def parse_answer(response_text: str) -> Answer:
    """Return the object of an answer, empty for no text. Raise ArmError if it is none."""
    try:
        answer = json.loads(response_text, object_hook=Answer) if response_text.strip() else Answer()
    except (ValueError, RecursionError):
        raise make_unreadable_error("it is not JSON") from None
    if not isinstance(answer, Answer):
        raise make_unreadable_error("it is not an object")
    return answer


def make_unreadable_error(reason: str) -> ArmError:
    """Return the error for an answer that is not what Azure documents."""
    return ArmError(f"Azure's answer cannot be read: {reason}", code=UNREADABLE)


class ArmClient:
    """A client that signs in on its own and retries transient errors for `patience` seconds. Raises ArmError.

    `host` replaces the resource manager's host by another one that takes the same tokens.
    """

    longest_pause = LONGEST_PAUSE

    def __init__(self, patience: float = 0.0, host: str = "") -> None:
        self._patience = patience
        self._base = f"https://{host or get_cloud().manager}"
        self._pipeline: Any = None

    def get(self, path: str, version: str = API_VERSION, **query: str) -> Answer:
        """Return one resource."""
        return self._send_with_retries("GET", self._base + path, {"api-version": version, **query})

    def get_properties(self, path: str) -> Answer:
        """Return the properties of one resource."""
        return self.get(path).get_object("properties")

    def create_or_update(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Create or update a resource and return it."""
        return self._send_with_retries("PUT", self._base + path, {"api-version": API_VERSION}, body)

    def post(self, path: str, version: str = API_VERSION, body: Mapping[str, Any] | None = None) -> Answer:
        """Run an action and return its answer."""
        return self._send_with_retries("POST", self._base + path, {"api-version": version}, body or {})

    def list_all(self, path: str, version: str = API_VERSION, **query: str) -> Iterator[Answer]:
        """Yield the items of a list, over all pages."""
        page = self.get(path, version, **query)
        while True:
            yield from page.get_objects("value")
            next_link = page.get_text("nextLink")
            if not next_link:
                return
            base = urlsplit(self._base)
            next_address = urlsplit(next_link)
            if (base.scheme, base.netloc) != (next_address.scheme, next_address.netloc.lower().removesuffix(":443")):
                # the token must not be sent elsewhere
                raise ArmError(f"the next page of {path} is on another host")
            page = self._send_with_retries("GET", next_link, {})

    def _send_with_retries(self, method: str, url: str, query: Mapping[str, str], body: object = None) -> Answer:
        deadline = time.monotonic() + self._patience
        pause = 1.0
        renewals_text = os.environ.get(RENEWALS_VARIABLE, "")
        renewals = int(renewals_text) if renewals_text.isdecimal() else 3
        while True:
            try:
                return self._send_request(method, url, query, body)
            except ArmError as error:
                if error.status == 401 and error.code in EXPIRED_TOKEN_CODES and renewals:
                    credential.clear_shared_credential()
                    self._pipeline, renewals = None, renewals - 1
                elif error.is_transient and self.wait_to_retry(error, max(pause, error.retry_after), deadline):
                    pause = min(2 * pause, self.longest_pause)
                else:
                    raise

    def wait_to_retry(self, error: ArmError, seconds: float, until: float) -> bool:
        """Wait before the request is sent again; return False if it is not to be."""
        if time.monotonic() + seconds >= until:
            return False
        time.sleep(seconds)
        return True

    def _send_request(self, method: str, url: str, query: Mapping[str, str], body: object) -> Answer:
        try:
            request = importlib.import_module("azure.core.rest").HttpRequest(method, url, params=query, json=body)
            pipeline = self._pipeline  # another thread may reset it
            if pipeline is None:
                token = make_token_policy(credential.get_shared_credential(), f"https://{get_cloud().manager}/.default")
                self._pipeline = pipeline = make_pipeline(self._base, token)
            response = send_request(pipeline, request, **TIMEOUTS)
        except ModuleNotFoundError as error:
            raise ArmError("azure-identity, which signs in to Azure, is not installed here", code=SIGNED_OUT) from error
        except Exception as error:
            raise make_no_answer_error(error, url.split("/")[2]) from error
        status = response.status_code
        if status < 400:
            return parse_answer(response.text())
        try:
            error_body = parse_answer(response.text()).get("error")
        except ArmError:  # a gateway's page
            error_body = None
        details = error_body if isinstance(error_body, dict) else {}
        code = str(details.get("code") or "")
        message = shorten_message(str(details.get("message") or ""), status)
        seconds = response.headers.get("Retry-After", "")
        retry_after = float(seconds) if seconds.isdecimal() else 0.0
        if retry_after >= LONG_PAUSE:
            message += f", and asks to wait {format_duration(retry_after)}"
        refusal = ArmError(f"{message} (HTTP {status} {code})".replace(" )", ")"), status, code)
        refusal.retry_after = retry_after
        raise refusal


def make_no_answer_error(error: BaseException, host: str) -> ArmError:
    """Return the error for a failed sign-in, or for a request to `host` that got no answer."""
    kinds = get_class_names(error)
    target = "Azure's sign-in" if SIGN_IN_ERROR in kinds else host
    unreached = re.search(UNREACHED_PATTERN, "\n".join(map(str, iter_causes(error))))
    reason = re.search(SIGN_IN_REASON_PATTERN, str(error))
    if SIGN_IN_ERROR in kinds and (reason or not unreached):
        title = credential.make_sign_in_title(str(error))
        return ArmError(title + (f" ({reason[0]})" if reason else ""), code=SIGNED_OUT)
    cause = "the connection was closed" if kinds & NO_ANSWER_ERRORS else type(error).__name__
    arm_error = ArmError(f"{target} cannot be reached ({unreached[0] if unreached else cause})", code=UNREACHABLE)
    arm_error.broke_off = bool(kinds & BROKEN_OFF_ERRORS or re.search(BROKEN_OFF_PATTERN, str(error)))
    return arm_error


FULL_TEXT_STATUSES = (400, 409, 412, 422)
"""Statuses whose message is shown in full: the reason may be in any sentence. Others end with generic advice."""


def shorten_message(error_text: str, status: int = 0) -> str:
    """Return a message in one line, without the last full stop. It may still hold secrets."""
    message = " ".join(error_text.split())
    if status not in FULL_TEXT_STATUSES:
        message = re.split(r"(?<=\.)\s", message, maxsplit=1)[0]
    return message.rstrip(". ") or "no reason was given"
