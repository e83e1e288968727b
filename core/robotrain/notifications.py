"""The webhook that is told how a run ended: the user's configuration says where its address is, which is a secret.

Who waits reads the address in a file of this machine; a run itself has it as one of its secrets.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.contract.files import read_limited_file
from robotrain_runtime.contract.notice import post_notice

from robotrain.config.user_file import ADDRESS_FILE, get_user_file, read_user_file
from robotrain.errors import Problem, raise_if_any
from robotrain.messages import Messages

make_problem = Messages(__file__)

MAX_BYTES = 4096


def open_webhook() -> str:
    """Return the address of the user's webhook. Raise Rejected with what is wrong with its file."""
    user_file = read_user_file()
    file = user_file.webhook.get(ADDRESS_FILE, "")
    raise_if_any([*user_file.problems, *check_address_file(file)])
    return _read_address(file)


def check_address_file(file: str) -> Iterator[Problem]:
    """Yield what is wrong with the file of the webhook's address. `file`: what the configuration says, perhaps that."""
    path = Path(os.path.expanduser(file))
    if "://" in file:
        yield make_problem("notify-address-invalid.shown", path=get_user_file())
    elif not path.is_absolute():
        yield make_problem("notify-not-configured", given=file, path=get_user_file())
    elif not _read_address(file).startswith(("https://", "http://")):
        yield make_problem("notify-address-invalid", given=file)
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield make_problem("notify-address-exposed", given=file, path=path)


def _read_address(file: str) -> str:
    try:
        return read_limited_file(Path(file).expanduser(), MAX_BYTES).decode().strip()
    except (OSError, ValueError, RuntimeError):  # it does not exist, is no text, or there is no such home
        return ""


def send(address: str, message: str) -> list[Problem]:
    """Send a message to a webhook; return a warning if it did not take it. Nothing is raised."""
    reason = post_notice(address, message)
    return [make_problem("notify-failed", why=reason)] if reason else []
