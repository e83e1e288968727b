"""What an exception of Azure's libraries says, whichever of them it came through: the answer behind it, if there was
one, as an ArmError or a StorageError.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import re
from collections.abc import Iterator
from typing import Any

from robotrain.redaction import redact
from robotrain_azure.arm import REASON, SIGNED_OUT, UNREACHABLE, UNREACHED, ArmError

from robotrain_azureml.service.datastore import StorageError

LONGEST = 400
_TRIED = r"^\s*(\w+Credential): "
_BLOBS = r"https://([a-z0-9]+)\.(?:blob|dfs)\."
NO_ANSWER = frozenset({"ServiceRequestError", "ServiceResponseError", "IncompleteReadError"})
NO_SIGN_IN = "ClientAuthenticationError"


def of(error: BaseException, host: str = "") -> ArmError | StorageError | None:
    """What it says; None where it says nothing of Azure. host: whom it was asked of, where that is known."""
    for one in _causes(error):
        if isinstance(one, ArmError | StorageError):
            return one
        if found := _answered(one) or _without_answer(one, host or "Azure"):
            return found
    return None


def status_of(error: BaseException) -> int:
    """Of the answer; 0 without one."""
    told = of(error)
    return told.status if told else 0


def tried(error: BaseException) -> tuple[str, ...]:
    """The sign-ins that were tried, by the names of Azure's library."""
    return tuple(dict.fromkeys(name for one in _causes(error) for name in re.findall(_TRIED, str(one), re.MULTILINE)))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _answered(error: BaseException) -> ArmError | StorageError | None:
    """Of an error of azure-core that has an answer."""
    status, answer = getattr(error, "status_code", None), getattr(error, "response", None)
    if not isinstance(status, int):
        return None
    body: Any = getattr(error, "error", None)
    told = getattr(body, "code", None) or getattr(error, "error_code", None)
    code = str(
        getattr(told, "value", told) or (answer.headers.get("x-ms-error-code", "") if answer is not None else "")
    )
    words = first(str(getattr(body, "message", None) or getattr(error, "message", None) or error))
    found = re.match(_BLOBS, str(getattr(getattr(answer, "request", None), "url", "")))
    if found:
        said = f"HTTP {status} {code}".rstrip()
        return StorageError(f"the storage account {found[1]} refused ({said})", status, code, found[1])
    return ArmError(f"{words} (HTTP {status} {code})".replace(" )", ")"), status, code)


def _without_answer(error: BaseException, host: str) -> ArmError | None:
    """Of a sign-in that failed, or of a request that got no answer."""
    kinds, text = {base.__name__ for base in type(error).__mro__}, str(error)
    unreached, reason = re.search(UNREACHED, text), re.search(REASON, text)
    if NO_SIGN_IN in kinds and (reason or not unreached):
        return ArmError(redact(reason[0] if reason else "no sign-in gave a token", longest=LONGEST), code=SIGNED_OUT)
    if NO_SIGN_IN in kinds or kinds & NO_ANSWER:
        said = unreached[0] if unreached else "the connection broke off"
        what = "Azure's sign-in" if NO_SIGN_IN in kinds else host
        return ArmError(f"{what} cannot be reached ({said})", code=UNREACHABLE)
    return None


def first(text: str) -> str:
    """The first sentence of a text, without a full stop."""
    line = re.sub(r"^\(\w+\) ", "", next(iter(text.strip().splitlines()), ""))
    first = re.split(r"(?<=\.)\s", line, maxsplit=1)[0]
    return redact(first.rstrip(". "), longest=LONGEST) or "no reason was given"
