"""A request below a workspace, its answer, and its refusal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure_stand_in.sign_in import OBJECT

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
    """A request. body: its JSON. host: whom it was asked of. rest: the part of its path that follows the workspace."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any]
    host: str
    rest: str = ""


def user_error(message: str, inner: str = "BadArgument", status: int = 400) -> Refused:
    return Refused(status, "UserError", message, inner)


def make_unauthorized(action: str, scope: str) -> Refused:
    return Refused(
        403,
        "AuthorizationFailed",
        f"The client 'c' with object id '{OBJECT}' does not have authorization to perform action '{action}' over scope "
        f"'{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
    )


def missing(message: str) -> Refused:
    return Refused(404, "UserError", message, "NotFound")
