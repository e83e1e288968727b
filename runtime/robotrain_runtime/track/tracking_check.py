"""Whether the tracking address can be reached: one question, no second try."""

import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime import disk_use
from robotrain_runtime.event import Fault
from robotrain_runtime.finding import Finding

SECONDS = 5.0
WAYS = ("start the server, or correct its address", "--tracking-uri sqlite:////FOLDER/mlflow.db   a file, no server")


def findings(uri: str) -> Iterator[Finding]:
    """What stands in the way; of kinds of addresses that only their own library can reach, nothing."""
    scheme = urllib.parse.urlsplit(uri).scheme
    if scheme in ("http", "https"):
        yield from _server(uri)
    elif scheme == "sqlite":
        yield from _file(Path(uri.removeprefix("sqlite:///").partition("?")[0]), uri)


def silent(uri: str, seconds: float = SECONDS) -> Finding:
    """For one that gave no answer in time."""
    return _unreachable(uri, f"It did not answer within {seconds:g} s.", "network")


def unasked(uri: str, why: str) -> Finding:
    """For one that nobody could ask about."""
    return _unreachable(uri, f"It could not be asked: {why.rstrip('.')}.", "code")


def shown(uri: str) -> str:
    """The address without what may be a secret in it."""
    parts = urllib.parse.urlsplit(uri)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _server(uri: str) -> Iterator[Finding]:
    request = urllib.request.Request(shown(uri).rstrip("/") + "/health", headers={"User-Agent": "robotrain"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return
    except urllib.error.HTTPError as answer:
        answer.close()
        if answer.code >= 500:
            yield _unreachable(uri, f"It answered {answer.code} {answer.reason}.", "network")
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", None) or error
        why = getattr(why, "strerror", None) or why
        certificate = "CERTIFICATE_VERIFY_FAILED" in str(why)
        yield _unreachable(uri, f"{why}".rstrip(".") + ".", "configuration" if certificate else "network")


def _file(database: Path, uri: str) -> Iterator[Finding]:
    there = disk_use.there(database)
    if not os.access(there, os.W_OK):
        yield _unreachable(uri, f"{there} does not let you write.", "configuration")
    elif there == database and not _is_database(database):
        yield _unreachable(uri, f"{database} is no SQLite database.", "configuration")


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(16) in (b"SQLite format 3\0", b"")
    except OSError:
        return False


def _unreachable(uri: str, why: str, fault: Fault) -> Finding:
    return Finding(
        code="tracking-unreachable",
        title="the tracking address cannot be reached",
        where="--tracking-uri",
        given=shown(uri),
        why=why,
        ways=WAYS,
        fault=fault,
    )
