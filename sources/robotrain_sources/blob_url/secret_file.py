"""What blobs are read with where a file or a key vault holds it: an account key, a SAS or a token. Its content is never
repeated.
"""

import base64
import contextlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal
from urllib.parse import parse_qs

from robotrain_sources.credential import reading
from robotrain_sources.fetching.answer import Refused

FORMS = "an account key, a SAS (sv=…&sig=…) or an access token"
WHAT = {"key": "the account key", "sas": "the SAS", "token": "the token"}

_KEY = r"[A-Za-z0-9+/]{86}=="
_TOKEN = r"eyJ[\w-]+\.[\w-]+\.[\w-]*"

Form = Literal["key", "sas", "token"]


@dataclass(frozen=True, slots=True)
class Secret:
    """What it holds. place: where that lies, as the end of a sentence. text: in no printed form of this."""

    place: str
    form: Form
    text: str = field(repr=False)

    @property
    def what(self) -> str:
        """Its form, as a sentence names it."""
        return WHAT[self.form]

    @property
    def ends(self) -> datetime | None:
        """When it is of no use any more, with its time zone; None where it does not say so."""
        with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError):
            if self.form == "token":
                return datetime.fromtimestamp(_claims(self.text)["exp"], timezone.utc)
            if self.form == "sas":
                end = datetime.fromisoformat(parse_qs(self.text)["se"][0].replace("Z", "+00:00"))
                return end if end.tzinfo else end.replace(tzinfo=timezone.utc)
        return None


def read(named: str) -> Secret:
    """What the file or the secret holds now. Raises Refused, with its name, where blobs are not read with that."""
    text = reading.read(named, FORMS).removeprefix("?")
    form = _form(text)
    if form is None:
        raise reading.wrong(named, FORMS)
    found = Secret(reading.called(named), form, text)
    if found.ends and found.ends <= datetime.now(timezone.utc):
        ended = f"{found.ends.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
        raise Refused(f"{found.what} in {found.place} ended at {ended}: put a new one there", "configuration")
    return found


def holder(token: str) -> str:
    """Whom a token is of, as a sentence names them; empty when it does not say."""
    said = _claims(token)
    if person := said.get("upn") or said.get("unique_name") or said.get("preferred_username"):
        return str(person)
    ids = (("client", said.get("appid") or said.get("azp")), ("object", said.get("oid")))
    named = ", ".join(f"{what} id {one}" for what, one in ids if one)
    return named and f"the identity with {named}"


def _claims(token: str) -> dict[str, Any]:
    """What a token says; not verified, it is only told. Empty when it says nothing."""
    with contextlib.suppress(IndexError, ValueError):
        middle = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return said if isinstance(said, dict) else {}
    return {}


def _form(text: str) -> Form | None:
    """Which of the forms it has, told from its shape alone."""
    if re.fullmatch(_KEY, text):
        return "key"
    if re.fullmatch(_TOKEN, text):
        return "token"
    signed = not re.search(r"\s|://", text) and {"sv", "sig"} <= parse_qs(text).keys()
    return "sas" if signed else None
