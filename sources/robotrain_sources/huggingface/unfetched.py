"""Why the Hub did not give a repository's files to a run: a sentence with the way out, never with a token."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from robotrain_sources.fetching.answer import Refused, plain

HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the Hub was asked for. kind: model or dataset. token: whether one was shown."""

    repository: str
    kind: str
    revision: str
    token: bool


@contextmanager
def told(asked: Asked) -> Iterator[None]:
    """What the library raises within becomes Refused; the operating system's own errors stay."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise Refused(_sentence(list(_chain(error)), asked) or f"{asked.repository}: {plain(error)}") from error


def _sentence(raised: list[BaseException], asked: Asked) -> str:
    names = {base.__name__ for error in raised for base in type(error).__mro__}
    name, hub = asked.repository, f"the Hub at {urlsplit(_endpoint()).hostname}"
    if "GatedRepoError" in names:
        way = "with the account of your token" if asked.token else "and set HF_TOKEN to a token of your account"
        return f"{name} is gated: accept its conditions at {_page(asked)} {way}"
    if "RepositoryNotFoundError" in names:
        why = "your token has no access to it" if asked.token else "it is private and HF_TOKEN is not set"
        return f"{hub} shows no {asked.kind} {name}: it does not exist, or {why}"
    if "RevisionNotFoundError" in names:
        return f"{name} has no revision {asked.revision or 'main'} on {hub}"
    if "OfflineModeIsEnabled" in names:
        return f"{name} is not in the cache, and HF_HUB_OFFLINE forbids to ask for it: unset it, or name a local folder"
    if status := next((code for error in raised if (code := _status(error))), 0):
        return _of_status(status, name, hub, asked.token)
    if "TransportError" in names:
        return f"the connection to {hub} failed for {name} ({plain(raised[-1])}): can this machine reach it?"
    return ""


def _of_status(status: int, name: str, hub: str, token: bool) -> str:
    if status in (401, 403):
        why = "does not accept your token (HF_TOKEN)" if token else "wants a token: set HF_TOKEN"
        return f"{hub} {why}, for {name} (HTTP {status})"
    return f"{hub} answered HTTP {status} for {name}: try again later"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def _page(asked: Asked) -> str:
    return f"{_endpoint()}/{'datasets/' if asked.kind == 'dataset' else ''}{asked.repository}"


def _endpoint() -> str:
    """Without a name and a password that an address may hold."""
    address = urlsplit(os.environ.get("HF_ENDPOINT") or HUB)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
