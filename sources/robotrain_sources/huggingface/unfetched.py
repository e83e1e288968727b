"""Why the Hub did not give a repository's files to a run: a sentence with the way out, never with a token."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from robotrain_sources.fetching.answer import Refused, blamed, plain, unanswered
from robotrain_sources.transfer import trouble

HUB = "https://huggingface.co"
HIDDEN = "it is private and HF_TOKEN is not set"
_ON_THE_WAY = r".*HTTP error: (.+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the Hub was asked for. kind: model or dataset. token: the one that was shown, in words; empty for none.

    way: what to type to give the job a token, where its platform has its own way.
    """

    repository: str
    kind: str
    revision: str
    token: str
    way: str = ""

    @property
    def other(self) -> str:
        """The end of a sentence on a token that is not let in."""
        return f"; to give the job another: {self.way}" if self.way else ""


def of(error: Exception, asked: Asked) -> Refused:
    """What the library or obstore raised, as a sentence with whose fault it is."""
    if isinstance(error, Refused):
        return error
    raised = list(_chain(error))
    names = {base.__name__ for one in raised for base in type(one).__mro__}
    hub = f"the Hub at {urlsplit(_endpoint()).hostname}"
    if said := _of_kind(names, asked, hub):
        return Refused(said, "configuration")
    if status := next((code for one in raised if (code := _status(one))), 0):
        return _of_status(status, asked, hub)
    if "TransportError" in names or re.search(_ON_THE_WAY, str(error)):
        why = f"the connection to {hub} failed for {asked.repository} ({_reason(raised)}): can this machine reach it?"
        return Refused(why, unanswered(*raised))
    if isinstance(error, TimeoutError):
        return Refused(f"{hub} gave no answer in time, for {asked.repository}: try again later", "network")
    if "JSONDecodeError" in names:
        return Refused(f"what answers as {hub} does not speak as the Hub does: check HF_ENDPOINT", "configuration")
    fault = "network" if trouble.may_pass(error) else blamed(error)
    return Refused(f"{asked.repository}: {plain(error)}", fault)


def _of_kind(names: set[str], asked: Asked, hub: str) -> str:
    """What the library has an exception for; empty for the others."""
    name = asked.repository
    if "GatedRepoError" in names:
        give = asked.way or "set HF_TOKEN to a token of your account"
        way = f"with the account of your token{asked.other}" if asked.token else f"and {give}"
        return f"{name} is gated: accept its conditions at {_page(asked)} {way}"
    if "RepositoryNotFoundError" in names:
        none = f"it is private and the job has no token: {asked.way}" if asked.way else HIDDEN
        why = f"{asked.token} has no access to it{asked.other}" if asked.token else none
        return f"{hub} shows no {asked.kind} {name}: it does not exist, or {why}"
    if "RevisionNotFoundError" in names:
        return f"{name} has no revision {asked.revision or 'main'} on {hub}"
    if "OfflineModeIsEnabled" in names:
        return f"{name} is not in the cache, and HF_HUB_OFFLINE forbids to ask for it: unset it, or name a local folder"
    return ""


def _of_status(status: int, asked: Asked, hub: str) -> Refused:
    name = asked.repository
    if status in (401, 403):
        wants = f"wants a token: {asked.way or 'set HF_TOKEN'}"
        why, other = (f"does not accept {asked.token}", asked.other) if asked.token else (wants, "")
        return Refused(f"{hub} {why}, for {name} (HTTP {status}){other}", "configuration")
    if status in (404, 416):
        return Refused(f"{hub} has a file of {name} no more, or another (HTTP {status}): start the run again", "data")
    if status in trouble.PASSING or status >= 500:
        return Refused(f"{hub} answered HTTP {status} for {name}: try again later", "network")
    return Refused(f"{hub} answered HTTP {status} for {name}", "configuration")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int:
    told = getattr(getattr(error, "response", None), "status_code", 0)
    return int(told or 0) or trouble.status_of(error)


def _reason(raised: list[BaseException]) -> str:
    """What stood in the way: the last word of the library, or obstore's."""
    said = re.search(_ON_THE_WAY, str(raised[0]))
    return plain(ValueError(said[1])).partition(": ")[2] if said else plain(raised[-1])


def _page(asked: Asked) -> str:
    return f"{_endpoint()}/{'datasets/' if asked.kind == 'dataset' else ''}{asked.repository}"


def _endpoint() -> str:
    """Without a name and a password that an address may hold."""
    address = urlsplit(os.environ.get("HF_ENDPOINT") or HUB)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
