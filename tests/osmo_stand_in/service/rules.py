"""Rules for single values: names, sizes, times, labels. Pure; each raises ValueError or Refusal, as OSMO does."""

import datetime
import re
from collections.abc import Mapping

from osmo_stand_in import refusal

NAME = r"[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?"
TASK_NAME = rf"(?P<workflow_id_or_task>{NAME})(:(?P<previous_task>{NAME}))?"
WORKFLOW_ID = re.compile(r"[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?-\d+$")

SIZE = re.compile(r"(?P<size>(\d+(?:\.\d+)?))(?P<unit>([a-zA-Z]*))")
UNITS = {**dict.fromkeys(("T", "Ti", "TiB"), 40), **dict.fromkeys(("G", "Gi", "GiB"), 30)} | {
    **dict.fromkeys(("M", "Mi", "MiB"), 20),
    **dict.fromkeys(("K", "Ki", "KiB"), 10),
    "B": 0,
    "m": -10,
}

ISO = re.compile(r"^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$")
STEPS = {
    "d": datetime.timedelta(days=1),
    "h": datetime.timedelta(hours=1),
    "m": datetime.timedelta(minutes=1),
    "s": datetime.timedelta(seconds=1),
    "ms": datetime.timedelta(milliseconds=1),
    "us": datetime.timedelta(microseconds=1),
}

MOST_LABELS = 16
LABEL = re.compile(r"^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
DNS_PART = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
PREFIX = re.compile(rf"^(?=.{{1,253}}$){DNS_PART}(?:\.{DNS_PART})*$")

PART = r"[^/,;*]+"
PLACES = {
    "swift": re.compile(rf"^swift://{PART}(/{PART}){{2,}}/*$"),
    "s3": re.compile(rf"^s3://{PART}(/{PART})*/*$"),
    "gs": re.compile(rf"^gs://{PART}(/{PART})*/*$"),
    "tos": re.compile(rf"^tos://{PART}(/{PART})+/*$"),
    "azure": re.compile(rf"^azure://{PART}(/{PART})+/*$"),
}
OWN_IDENTITY = ("s3", "azure")
"""Storage that a task may reach with an identity of its own."""


def kubernetes_name(name: str) -> str:
    """As Kubernetes takes it: two names that become one are the same."""
    return name.lower().replace("_", "-")


def size(value: str, field: str) -> float:
    """Bytes of `48Gi`. Raises Refusal."""
    match = SIZE.fullmatch(value)
    if not match:
        raise refusal.resource(f"Resource {field} field has invalid value {value}")
    unit = match["unit"] or "B"
    if unit not in UNITS:
        raise refusal.resource(f"Resource {field} field has invalid unit: {unit}")
    return float(match["size"]) * 2.0 ** UNITS[unit]


def duration(value: object) -> datetime.timedelta:
    """A time, as `12h`, `PT12H` or seconds. Raises ValueError."""
    if isinstance(value, datetime.timedelta):
        return value
    if isinstance(value, (int, float)):
        return datetime.timedelta(seconds=value)
    message = f"Cannot recognize duration: {value}. Only support ISO 8601 (e.g. PT10S) or xd, xh, xm, xs, xms, xus"
    text = str(value)
    if text.startswith("P"):
        match = ISO.match(text)
        if not match or not any(match.groups()):
            raise ValueError(message)
        days, hours, minutes = (int(part or 0) for part in match.groups()[:3])
        return datetime.timedelta(days=days, hours=hours, minutes=minutes, seconds=float(match[4] or 0))
    unit = text[-2:] if len(text) >= 3 and text[-2:] in ("ms", "us") else text[-1:]
    try:
        number = int(text.removesuffix(unit))
    except ValueError:
        raise ValueError(message) from None
    if unit not in STEPS:
        raise ValueError(message)
    return number * STEPS[unit]


def labels(given: object) -> dict[str, str]:
    """All labels of a workflow. Raises ValueError."""
    if not isinstance(given, Mapping):
        raise ValueError("Workflow labels must be a map of string keys to string values.")
    if len(given) > MOST_LABELS:
        raise ValueError(f"Workflows can have at most {MOST_LABELS} labels.")
    for key, value in given.items():
        _label_key(key)
        if not isinstance(value, str):
            raise ValueError("Workflow label values must be strings.")
        if not LABEL.fullmatch(value):
            raise ValueError(f'Workflow label value "{value}" is not a valid non-empty Kubernetes label value.')
    return dict(given)


def _label_key(key: object) -> None:
    if not isinstance(key, str):
        raise ValueError("Workflow label keys must be strings.")
    prefix, separator, name = key.rpartition("/")
    if "/" in prefix:
        raise ValueError(f'Workflow label key "{key}" is not a valid Kubernetes label key.')
    if separator and not PREFIX.fullmatch(prefix):
        raise ValueError(f'Workflow label key "{key}" has an invalid DNS prefix.')
    if not LABEL.fullmatch(name):
        raise ValueError(f'Workflow label key "{key}" has an invalid name segment.')


def place(url: str) -> str:
    """The scheme of a storage URL. Raises Refusal: the service falls over one that it does not know."""
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme not in PLACES:
        raise refusal.broken(f"Unknown URI scheme: {scheme}")
    if not PLACES[scheme].fullmatch(url):
        kind = {"azure": "Azure", "s3": "S3", "gs": "GS", "tos": "TOS", "swift": "Swift"}[scheme]
        raise refusal.broken(f"Incorrectly formatted {kind} URI: {url}")
    return scheme
