"""The client of the command: requests to the service, with every network fault but no network."""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from osmo_stand_in import config
from osmo_stand_in.cli import session
from osmo_stand_in.cli.errors import CredentialError, OsmoError, ServerError, SubmissionError, Unreachable
from osmo_stand_in.fault import Fault
from osmo_stand_in.service import Answer, Service
from osmo_stand_in.state import State

PAGE = (
    '<!DOCTYPE html><html><head><title>Sign in to OSMO</title></head><body id="keycloak-bg">'
    '<form id="kc-form-login" method="post"></form></body></html>'
)
BUSY = "local_rate_limited"
DOWN = "no healthy upstream"


class Client:
    """fault: what this call of the command meets."""

    def __init__(self, state: State, fault: Fault | None) -> None:
        self.state = state
        self.fault = fault
        self.service = Service(state, hurried=self.meets("sandbox"))
        self.version: str = config.read(state)["client"]

    @property
    def numbers(self) -> config.Version:
        """Its own version, to compare."""
        return config.numbers(self.version)

    def meets(self, form: str) -> bool:
        """Whether this call meets such a fault."""
        return self.fault is not None and self.fault.form == form

    def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        versioned: bool = True,
        streams: bool = False,
    ) -> Any:
        """What the service answers. Raises what the command fails with."""
        session.check()
        answer = self._sent(method, path, params, body, versioned)
        if answer.warning:
            print(answer.warning, file=sys.stderr)
        if answer.status != 200:
            print(f"Server responded with status code {answer.status}", file=sys.stderr)
            raise _failed(answer)
        if not isinstance(answer.body, str) or streams:
            return answer.body
        return json.loads(answer.body)

    def _sent(self, method: str, path: str, params: Mapping[str, Any] | None, body: Any, versioned: bool) -> Answer:
        if self.meets("refused"):
            raise Unreachable(_refused(path))
        if self.fault and self.meets("slow"):
            time.sleep(self.fault.seconds)
        if canned := self._canned():
            return canned
        answer = self.service.ask(method, path, params, body, self.version if versioned else "")
        if self.meets("lost") and method != "GET" and not (params or {}).get("dry_run"):
            text = "Remote end closed connection without response"
            raise Unreachable(f"('Connection aborted.', RemoteDisconnected('{text}'))")
        return answer

    def _canned(self) -> Answer | None:
        if self.fault is None:
            return None
        return {
            "html": Answer(200, PAGE),
            "too_many": Answer(429, BUSY),
            "server_error": Answer(self.fault.status, self.fault.stdout or DOWN),
            "http": Answer(self.fault.status, self.fault.stdout),
        }.get(self.fault.form)


def print_answer(args: argparse.Namespace, answer: object) -> None:
    """Print an answer in the wanted format; the text of the real command is for people and is not imitated."""
    print(json.dumps(answer, indent=2) if args.format_type == "json" else answer)


def _refused(path: str) -> str:
    return (
        f"HTTPSConnectionPool(host='osmo.example.com', port=443): Max retries exceeded with url: /{path} (Caused by "
        "NewConnectionError('<urllib3.connection.HTTPSConnection object at 0x7f0000000000>: Failed to establish a new "
        "connection: [Errno 111] Connection refused'))"
    )


def _failed(answer: Answer) -> OsmoError:
    text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    if answer.status >= 500:
        headers = "  server: uvicorn\n  content-type: application/json\n"
        return ServerError(f"Status Code: {answer.status}\nHeader:\n{headers}Body:\n{text}", status=answer.status)
    try:
        body = json.loads(text)
    except ValueError:
        return OsmoError(text, status=answer.status)
    kind = body.get("error_code") if isinstance(body, dict) else None
    if kind is None:
        return OsmoError(text, status=answer.status)
    kinds = {"USAGE": SubmissionError, "RESOURCE": SubmissionError, "CREDENTIAL": CredentialError}
    return kinds.get(kind, OsmoError)(body["message"], body.get("workflow_id", ""), answer.status)
