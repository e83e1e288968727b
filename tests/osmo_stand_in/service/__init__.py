"""What a service of OSMO decides. In this process, without a network: `Service.ask`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from osmo_stand_in import config
from osmo_stand_in.refusal import Refusal
from osmo_stand_in.state import State

WARNING = (
    "WARNING: New client {service} available.\nCurrent version: {client}.\n"
    "Please update by running the install command in the documentation."
)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. body: JSON, or text. warning: what its header says about the command's version."""

    status: int
    body: Any
    warning: str = ""


class Service:
    """hurried: what it renders meets the time limit."""

    def __init__(self, state: State, hurried: bool = False) -> None:
        self.state = state
        self.hurried = hurried

    def ask(
        self, method: str, path: str, params: Mapping[str, Any] | None = None, body: Any = None, client: str = ""
    ) -> Answer:
        """The answer to one request. client: the version that the command says it has; empty when it does not say."""
        warning = ""
        there = config.read(self.state)
        if client and config.numbers(client) < config.numbers(there["service"]):
            least = there["limits"]["min_supported"]
            if least and config.numbers(client) < config.numbers(least):
                return Answer(400, _outdated(client, there["service"]))
            warning = WARNING.format(service=there["service"], client=client)
        for known, pattern, handler in _routes():
            if known == method and (match := re.fullmatch(pattern, path)):
                try:
                    return Answer(200, handler(self, dict(params or {}), body, *match.groups()), warning)
                except Refusal as error:
                    return Answer(error.status, error.body, warning)
                except Unprocessable as error:
                    return Answer(422, {"detail": [error.detail]}, warning)
        return Answer(404, {"detail": "Not Found"}, warning)


class Unprocessable(Exception):
    """A request of the wrong form: the framework refuses it, in its own way."""

    def __init__(self, **detail: Any) -> None:
        super().__init__(detail)
        self.detail = detail


Handler = Callable[..., Any]


def _routes() -> tuple[tuple[str, str, Handler], ...]:
    from osmo_stand_in.service import routes

    return routes.ROUTES


def _outdated(client: str, service: str) -> dict[str, str]:
    return {
        "message": f"Your client is out of date. Client version is {client} but the newest client version is "
        f"{service}.\nPlease update by running the install command in the documentation.",
        "error_code": "OSMO_ERROR",
    }
