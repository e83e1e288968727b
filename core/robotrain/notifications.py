"""Channels that are told how a run ended: names in the user's configuration, whose addresses are secrets.

Who waits reads the address in a file of this machine; a run itself has it as one of its secrets.
"""

import importlib
import logging
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robotrain_runtime.contract.files import read_limited_file
from robotrain_runtime.contract.notice import make_inactive, post_notice, tell_all

from robotrain.config.user_file import CHANNEL_FILE, NOTIFY_FLAG, get_user_file, read_user_file
from robotrain.errors import Problem, raise_if_any
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

make_problem = Messages(__file__)

MAX_BYTES = 4096
EXTRA = "robotrain[notify]"


@dataclass(frozen=True)
class NoticeChannel:
    """Where a message goes."""

    name: str
    address: str = field(repr=False)
    """A secret: with it anybody can write there."""


def open_channels(channels_text: str) -> list[NoticeChannel]:
    """Return the channels of the names between commas. Raise Rejected with what is wrong with any of them."""
    places_by_channel, problems = choose_channels(channels_text)
    channels = list[NoticeChannel]()
    for name, places in places_by_channel.items():
        file = places.get(CHANNEL_FILE, "")
        channel = NoticeChannel(name, _read_address(file))
        problems += _find_mistakes(channel, file)
        channels.append(channel)
    raise_if_any(problems)
    return channels


def check_web_channel(name: str, file: str) -> Iterator[Problem]:
    """Yield what is wrong with the file of a channel that a run of this machine is to tell."""
    channel = NoticeChannel(name, _read_address(file))
    if not channel.address or _is_web(channel):
        yield from _find_mistakes(channel, file)
    else:
        yield make_problem("notify-address-invalid.no-web", name=name, given=file)


def choose_channels(channels_text: str) -> tuple[dict[str, Mapping[str, str]], list[Problem]]:
    """Return where the addresses of the channels between commas are, and the problems of names that are not known."""
    channel_names = [name.strip() for name in channels_text.split(",") if name.strip()]
    user_file = read_user_file()
    channels, channel_list = user_file.channels, ", ".join(user_file.channels) or "none"
    unknown = [
        make_problem(
            "notify-unknown",
            *suggest_name(name, channels, prefix=f"{NOTIFY_FLAG} "),
            given=redact(name),
            path=get_user_file(),
            names=channel_list,
        )
        for name in dict.fromkeys(channel_names)
        if name not in channels
    ]
    places_by_channel = {name: channels[name] for name in channel_names if name in channels}
    return places_by_channel, [*(user_file.problems if unknown else ()), *unknown]


def _read_address(file: str) -> str:
    try:
        return read_limited_file(Path(file).expanduser(), MAX_BYTES).decode().strip()
    except (OSError, ValueError, RuntimeError):  # it does not exist, is no text, or there is no such home
        return ""


def _find_mistakes(channel: NoticeChannel, file: str) -> Iterator[Problem]:
    """Yield what is wrong with a channel, without its address. `file`: what the configuration says, perhaps that."""
    path = Path(os.path.expanduser(file))
    file_text = "" if "://" in file else file
    if not (path.is_absolute() and channel.address):
        reason = "An address is a secret: put it in a file." if "://" in file else "It holds no address."
        reason = reason if file else f'It names no file of this machine: {CHANNEL_FILE} = "~/.secrets/{channel.name}".'
        yield make_problem("notify-address-invalid", name=channel.name, given=file_text, why=reason)
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield make_problem("notify-address-exposed", name=channel.name, given=file_text, path=path)
    elif not _is_web(channel) and importlib.util.find_spec("apprise") is None:
        yield make_problem("notify-apprise-missing", name=channel.name, extra=EXTRA)


def _is_web(channel: NoticeChannel) -> bool:
    return channel.address.startswith(("https://", "http://"))


def send(channels: Sequence[NoticeChannel], title: str, text: str) -> list[Problem]:
    """Send a message to each channel; return a warning for each that did not take it. Nothing is raised."""
    failures = zip(channels, tell_all(channels, lambda channel: _send(channel, title, text)), strict=True)
    return [make_problem("notify-failed", name=channel.name, why=reason) for channel, reason in failures if reason]


def _send(channel: NoticeChannel, title: str, text: str) -> str:
    """Return why the channel did not take the message, without its address."""
    try:
        if _is_web(channel):
            return post_notice(channel.address, f"{title}\n{text}")
        apprise = importlib.import_module("apprise")
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it prints addresses
        sender = apprise.Apprise()
        if not sender.add(channel.address):
            return "apprise knows no such address"
        is_sent = sender.notify(title=make_inactive(title), body=make_inactive(text))
        return "" if is_sent else "it did not accept the message"
    except Exception as error:  # of the network, or of apprise
        return type(error).__name__
