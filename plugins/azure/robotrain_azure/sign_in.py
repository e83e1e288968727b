"""A sign-in to Azure that gave no token, in sentences: why, and what was tried."""

import re
from collections.abc import Iterator

NOBODY = "nobody is signed in to Azure here"
ENDED = "the sign-in to Azure does not hold any more"
STALE = ("ExpiredAuthenticationToken", "InvalidAuthenticationToken")
"""What a new token mends."""
_EXPIRED = r"AADSTS(?:70043|70044|700082|700084|50173|50078|50079|65001|50076)\b"
"""Sign-ins that held for a time, or that want to see the person again."""
_ONE = r"^\s*(\w+Credential): "


def title(said: str) -> str:
    """What it is, by what an error says of it."""
    ended = re.search(_EXPIRED, said) or any(f" {code})" in said for code in STALE)
    return ENDED if ended else NOBODY


def why(error: BaseException) -> str:
    """What an error says, and what was tried."""
    return " ".join((f"{error}.", *_tried(error)))


def reason(error: BaseException) -> str:
    """The same below a title of ours."""
    said = str(error).removeprefix(NOBODY).strip(" ().")
    return " ".join((*([f"{said[:1].upper()}{said[1:]}."] if said else []), *_tried(error)))


def behind(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _tried(error: BaseException) -> Iterator[str]:
    """The sign-ins, by the names of Azure's library."""
    names = [name for one in behind(error) for name in re.findall(_ONE, str(one), re.MULTILINE)]
    if names:
        yield f"These were tried: {', '.join(dict.fromkeys(names))}."
