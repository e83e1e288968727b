"""Runs in the data environment: asks a key vault for a secret, as the identity of the job. Once for all who want it."""

import importlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from robotrain_sources.credential import signing_in, unread
from robotrain_sources.credential.vault import Secret
from robotrain_sources.fetching.answer import Refused

VERSION = "7.4"
LIMITS = {"connection_timeout": 5, "read_timeout": 10}
TRIES, PAUSE = 2, 1.0
FRESH = 900.0
"""The seconds for which an answer stands: somebody may put a newer secret there while a run goes on."""
RESPITE = 10.0
"""Those for which a failure does: sixty sources wait no longer for it than one."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """until: when it has to be asked again. text: in no printed form of this. refused: why there is none."""

    until: float
    text: str = field(default="", repr=False)
    refused: Refused | None = None


_answers: dict[Secret, _Answer] = {}
_one_at_a_time = threading.Lock()


def value(of: Secret) -> str:
    """What the secret holds. Raises Refused."""
    with _one_at_a_time:
        told = _answers.get(of)
        if told is None or time.monotonic() > told.until:
            told = _answers[of] = _answer(of)
    if told.refused:
        raise told.refused
    return told.text


def _answer(of: Secret) -> _Answer:
    try:
        return _Answer(text=_asked(of), until=time.monotonic() + FRESH)
    except Refused as refused:
        return _Answer(refused=refused, until=time.monotonic() + RESPITE)


def _asked(of: Secret) -> str:
    """What may pass by itself is tried twice. Raises Refused."""
    client = _client(of)
    for tries in range(1, TRIES + 1):
        try:
            return _once(client, of)
        except Refused as refused:
            if refused.fault != "network" or tries == TRIES:
                raise
        time.sleep(PAUSE)
    raise AssertionError


def _once(client: Any, of: Secret) -> str:
    request = importlib.import_module("azure.core.rest").HttpRequest("GET", of.address, params={"api-version": VERSION})
    try:
        answer = client.send_request(request, **LIMITS)
    except Exception as error:
        raise unread.unanswered(error, of) from None  # of a chain of causes, one may repeat what was sent
    body = _object(answer.text())
    if answer.status_code != 200 or not isinstance(body.get("value"), str):
        raise unread.answered(answer.status_code, body, of)
    return str(body["value"])


def _client(of: Secret) -> Any:
    policies: Any = importlib.import_module("azure.core.pipeline.policies")
    signing = policies.BearerTokenCredentialPolicy(signing_in.chain(), of.scope)
    made = [policies.UserAgentPolicy("robotrain"), policies.ProxyPolicy(), signing]
    return importlib.import_module("azure.core").PipelineClient(f"https://{of.host}", policies=made)


def _object(text: str) -> dict[str, Any]:
    """The JSON object of an answer; empty for anything else."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
