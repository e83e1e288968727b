"""What an error of a request means: whether it may pass, and what it says of the file."""

import re

PASSING = (408, 425, 429)
_STATUS = r"non-2xx status code: (\d{3})"
_FINAL = ("PermissionDeniedError", "InvalidPathError", "NotSupportedError", "UnknownConfigurationKeyError")


class Different(Exception):
    """What came is not what was listed: a length or a digest differs. The text says which."""


class Stalled(TimeoutError):
    """Nothing came for too long."""


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, Different | Stalled | TimeoutError):
        return True
    kinds = {base.__name__ for base in type(error).__mro__}
    if "BaseError" not in kinds or not kinds.isdisjoint(_FINAL):
        return False
    status = status_of(error)
    return not status or status in PASSING or status >= 500 or is_unknown(error)


def is_unknown(error: BaseException) -> bool:
    """Whether the service does not know who asks: a token may just have run out."""
    return "UnauthenticatedError" in {base.__name__ for base in type(error).__mro__}


def gone(error: BaseException) -> str:
    """What became of the file, when it is not any more what was listed; empty when nothing did."""
    kinds = {base.__name__ for base in type(error).__mro__}
    if "FileNotFoundError" in kinds and not getattr(error, "errno", None):
        return "deleted"
    return "changed" if "PreconditionError" in kinds or status_of(error) == 416 else ""


def status_of(error: BaseException) -> int:
    """The HTTP status in obstore's words; 0 for none."""
    found = re.search(_STATUS, str(error))
    return int(found[1]) if found else 0
