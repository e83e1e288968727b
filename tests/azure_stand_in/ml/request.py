"""A request below a workspace, its answer, and its refusal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Answer = tuple[int, dict[str, Any] | None]
"""A status, and the body: None for an answer without one."""


@dataclass(frozen=True)
class Refused(Exception):
    """What is answered instead. inner: the chain of codes below the first, as `Immutable/JobPropertyImmutable`."""

    status: int
    code: str
    message: str
    inner: str = ""

    @property
    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.inner:
            nested: Any = None
            for code in reversed(self.inner.split("/")):
                nested = {"code": code, "innerError": nested}
            error |= {
                "details": [],
                "additionalInfo": [
                    {"type": "ComponentName", "info": {"value": "managementfrontend"}},
                    {"type": "InnerError", "info": {"value": nested}},
                ],
            }
        return {"error": error}


@dataclass(frozen=True)
class Asked:
    """method, path, query: of the request. body: its JSON. host: whom it was asked of. workspace: its resource id, in
    lower case. rest: what follows that.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any]
    host: str
    workspace: str = ""
    rest: str = ""


def user_error(message: str, inner: str = "BadArgument", status: int = 400) -> Refused:
    return Refused(status, "UserError", message, inner)


def missing(message: str) -> Refused:
    return Refused(404, "UserError", message, "NotFound")
