"""The server of Weights & Biases: its address, whether somebody is signed in there, and whether it can be reached."""

import configparser
import http.client
import netrc
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_ADDRESS = "https://api.wandb.ai"
TIMEOUT_SECONDS = 5.0
_answering_servers: set[str] = set()
"""Servers that this process heard of: a run that has fetched its data does not end of a moment without a network."""


def find_server_address(environ: Mapping[str, str]) -> str:
    """As wandb finds it; `wandb login --host` writes another than the usual one down."""
    if said := environ.get("WANDB_BASE_URL"):
        return said
    folder = Path(environ.get("WANDB_CONFIG_DIR") or _get_home(environ) / ".config" / "wandb")
    written = configparser.ConfigParser(interpolation=None)
    with suppress(OSError, ValueError, configparser.Error):
        written.read(folder / "settings", encoding="utf-8")
    return written.get("default", "base_url", fallback=DEFAULT_ADDRESS)


def redact_address(address: str) -> str:
    """An address without the name and the password that may stand in it."""
    return re.sub(r"//[^/]*@", "//", address)


def is_signed_in(environ: Mapping[str, str]) -> bool:
    """Whether `wandb login` left a key for it, in the file of keys that it shares with curl."""
    given, home = environ.get("NETRC"), _get_home(environ)
    files = [Path(given).expanduser()] if given else [home / ".netrc", home / "_netrc"]
    with suppress(OSError, ValueError, netrc.NetrcParseError, StopIteration):
        keys = netrc.netrc(next(file for file in files if file.is_file()))
        found = keys.authenticators(urlsplit(find_server_address(environ)).netloc)
        return bool(found and found[2])
    return False


def explain_unreachable(address: str, seconds: float = TIMEOUT_SECONDS) -> str:
    """Why nothing answers there, in a few words; empty when something does, whatever it says.

    wandb would ask again for a long time and say nothing: measured, more than three minutes.
    """
    if address in _answering_servers:
        return ""
    heard: list[str] = []
    asking = threading.Thread(target=lambda: heard.append(_probe_server(address, seconds)), daemon=True)
    asking.start()
    asking.join(seconds)  # looking up a name knows no limit of its own
    if heard == [""]:
        _answering_servers.add(address)
    return heard[0] if heard else f"no answer within {seconds:g} s"


def _probe_server(address: str, seconds: float) -> str:
    try:
        request = urllib.request.Request(
            redact_address(address).rstrip("/") + "/healthz", headers={"User-Agent": "robotrain"}
        )
        with urllib.request.urlopen(request, timeout=seconds):
            return ""
    except urllib.error.HTTPError as answer:
        answer.close()
        return ""
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", None) or error
        if isinstance(why, ssl.SSLError):  # somebody is there, and wandb may know certificates that Python does not
            return ""
        return str(getattr(why, "strerror", None) or why)


def _get_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME", "~")).expanduser()
