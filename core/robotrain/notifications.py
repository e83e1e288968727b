"""Channels that are told how a run ended: names in the user's configuration, whose addresses are secrets in files."""

import importlib
import json
import logging
import os
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from robotrain_runtime.contract.files import read_limited_file

from robotrain.config.user_file import get_user_file, read_user_file
from robotrain.errors import Problem, raise_if_any
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

make_problem = Messages(__file__)

FLAG = "--notify"
MAX_BYTES = 4096
SECONDS = 10.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EXTRA = "robotrain[notify]"


@dataclass(frozen=True)
class NoticeChannel:
    """Where a message goes."""

    name: str
    address: str = field(repr=False)
    """A secret: with it anybody can write there."""


def open_channels(text: str) -> list[NoticeChannel]:
    """Return the channels of the names between commas. Raise Rejected with what is wrong with any of them."""
    found, problems = list[NoticeChannel](), list[Problem]()
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = read_user_file().channels if names else {}
    for name in dict.fromkeys(names):
        if name not in known:
            near = suggest_name(name, known, prefix=f"{FLAG} ")
            names_there = ", ".join(known) or "none"
            problems.append(
                make_problem("notify-unknown", *near, given=redact(name), path=get_user_file(), names=names_there)
            )
            continue
        channel = NoticeChannel(name, _read_address(known[name]))
        mistakes = list(_find_mistakes(channel, known[name]))
        problems += mistakes
        found.append(channel)
    raise_if_any(problems)
    return found


def _read_address(file: str) -> str:
    try:
        return read_limited_file(Path(file).expanduser(), MAX_BYTES).decode().strip()
    except (OSError, ValueError, RuntimeError):  # it does not exist, is no text, or there is no such home
        return ""


def _find_mistakes(channel: NoticeChannel, file: str) -> Iterator[Problem]:
    """Yield what is wrong with a channel, without its address. `file`: what the configuration says, perhaps that."""
    path, given = Path(os.path.expanduser(file)), "" if "://" in file else file
    if not (path.is_absolute() and channel.address):
        why = "An address is a secret: put it in a file." if "://" in file else "It holds no address."
        yield make_problem("notify-address-invalid", name=channel.name, given=given, why=why)
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield make_problem("notify-address-exposed", name=channel.name, given=given, path=path)
    elif not _is_web(channel) and importlib.util.find_spec("apprise") is None:
        yield make_problem("notify-apprise-missing", name=channel.name, extra=EXTRA)


def _is_web(channel: NoticeChannel) -> bool:
    return channel.address.startswith(("https://", "http://"))


def send(channels: Sequence[NoticeChannel], title: str, text: str) -> list[Problem]:
    """Send a message to each channel; return a warning for each that did not take it. Nothing is raised."""
    failures = ((one, _send(one, title, text)) for one in channels)
    return [make_problem("notify-failed", name=one.name, why=why) for one, why in failures if why]


def _send(channel: NoticeChannel, title: str, text: str) -> str:
    """Return why the channel did not take the message, without its address."""
    try:
        if _is_web(channel):
            return _post(channel.address, f"{title}\n{text}")
        apprise = importlib.import_module("apprise")
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it prints addresses
        sender = apprise.Apprise()
        if not sender.add(channel.address):
            return "apprise knows no such address"
        return "" if sender.notify(title=title, body=text) else "it did not accept the message"
    except Exception as error:  # of the network, or of apprise
        return type(error).__name__


def _post(address: str, text: str) -> str:
    """Post a message as Slack, Teams and most webhooks read it, or as the text that ntfy shows."""
    place = urlsplit(address)
    if place.scheme != "https" and place.hostname not in LOOPBACK:
        return "its address does not begin with https"
    is_text = "ntfy" in (place.hostname or "").split(".")
    content = text if is_text else json.dumps({"text": text})
    headers = {"Content-Type": "text/plain; charset=utf-8" if is_text else "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, content.encode(), headers), timeout=SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        return f"it answered with status {error.code}"
    except urllib.error.URLError as error:
        return str(getattr(error.reason, "strerror", None) or type(error.reason).__name__)
