"""The reference of a container image: where it lies, and which one it is."""

import re
from dataclasses import dataclass

FORM = "It is [HOST[:PORT]/]NAME:TAG or …@sha256:DIGEST, its name in small letters, without white space."
_PART = r"[0-9a-z](?:[0-9a-z_.-]*[0-9a-z])?"
_HOST = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:\d))(?::\d{1,5})?"
_TAG = r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
_IMAGE = rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*{_TAG}"


@dataclass(frozen=True, slots=True)
class Reference:
    """What tells one image from others of its name. digest: 64 hex digits. Both may be empty."""

    tag: str
    digest: str


def read(text: str) -> Reference | None:
    """What a reference says; None for a text that is none."""
    found = re.fullmatch(_IMAGE, text)
    return Reference(found["tag"] or "", found["digest"] or "") if found else None
