"""What an exception of Azure's libraries says, whichever of them it came through: the answer behind it, if there was
one, as an ArmError or a StorageError.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import re
from typing import Any

from robotrain.redaction import redact
from robotrain_azure import arm, own_words, sign_in
from robotrain_azure.arm import ArmError

from robotrain_azureml.service.datastore import StorageError

LONGEST = 400
_BLOBS = r"https://([a-z0-9]+)\.(?:blob|dfs)\."


def of(error: BaseException, host: str = "") -> ArmError | StorageError | None:
    """What it says; None where it says nothing of Azure. host: whom it was asked of, where that is known."""
    for one in sign_in.behind(error):
        if isinstance(one, ArmError | StorageError):
            return one
        if found := _answered(one) or _without_answer(one, host or "Azure"):
            found.__cause__ = one
            return found
    return None


def status_of(error: BaseException) -> int:
    """Of the answer; 0 without one."""
    told = of(error)
    return told.status if told else 0


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
    words = _words(getattr(body, "message", None), error, status)
    url = str(getattr(getattr(answer, "request", None), "url", ""))
    found = re.match(_BLOBS, url)
    if found:
        said = f"HTTP {status} {code}".rstrip()
        return StorageError(
            f"the storage account {found[1]} refused ({said})", status, code, found[1], signed="sig=" in url
        )
    return ArmError(f"{words} (HTTP {status} {code})".replace(" )", ")"), status, code)


def _words(said: str | None, error: BaseException, status: int) -> str:
    """Those of the answer, else what the library made of it."""
    if said:
        return redact(own_words.of(said, status), longest=LONGEST)
    return first(str(getattr(error, "message", None) or error))


def _without_answer(error: BaseException, host: str) -> ArmError | None:
    """Of a sign-in that failed, or of a request that got no answer."""
    kinds = {base.__name__ for base in type(error).__mro__}
    if kinds & {arm.NO_SIGN_IN, *arm.NO_ANSWER}:
        return arm.without_answer(error, host)
    return None


def first(text: str) -> str:
    """The first sentence of a text that may begin with a code, as it may be shown."""
    line = re.sub(r"^\(\w+\) ", "", next(iter(text.strip().splitlines()), ""))
    return redact(own_words.of(line), longest=LONGEST)
