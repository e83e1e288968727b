"""Background checks whether the tracking address can be reached."""

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract import failure, plugin_loader
from robotrain_runtime.contract.address import make_page_address, redact_address
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Fault
from robotrain_runtime.contract.problem import Problem, Suggestion, make_suggestions
from robotrain_runtime.machine import disk_cache

ADDRESS_SECONDS = 5.0
SUGGESTIONS = make_suggestions(
    "start the server, or correct its address",
    Suggestion("--tracking-uri sqlite:////FOLDER/mlflow.db", "a file, no server"),
)


def find_address_problems(uri: str) -> Iterator[Problem]:
    """Yield the findings about an address; none for kinds that only their own library can reach."""
    scheme = uri.partition(":")[0].lower()
    if scheme in ("http", "https"):
        yield from _check_server(uri)
    elif scheme == "sqlite":
        yield from _check_database(Path(uri.removeprefix("sqlite:///").partition("?")[0]), uri)


def make_silent_finding(uri: str, seconds: float = ADDRESS_SECONDS) -> Problem:
    """Return the finding for an address that did not answer in time."""
    return _make_unreachable_finding(uri, f"It did not answer within {seconds:g} s.", "network")


def _check_server(uri: str) -> Iterator[Problem]:
    try:
        page = make_page_address(uri, "/health")
        request = urllib.request.Request(page, headers={"User-Agent": "robotrain"})
        with urllib.request.urlopen(request, timeout=ADDRESS_SECONDS):
            return
    except urllib.error.HTTPError as answer:
        answer.close()
        if answer.code >= 500:
            yield _make_unreachable_finding(uri, f"It answered {answer.code} {answer.reason}.", "network")
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", None) or error
        cause = getattr(cause, "strerror", None) or cause
        fault: Fault = "machine" if re.search(failure.UNTRUSTED, f"{cause}") else "network"
        yield _make_unreachable_finding(uri, f"{cause}".rstrip(".") + ".", fault)


def _check_database(database: Path, uri: str) -> Iterator[Problem]:
    existing_path = disk_cache.find_existing_parent(database)
    if not os.access(existing_path, os.W_OK):
        yield _make_unreachable_finding(uri, f"You may not write to {existing_path}.", "configuration")
    elif existing_path == database:
        header_bytes = b"?"
        with suppress(OSError), database.open("rb") as file:
            header_bytes = file.read(16)
        if header_bytes not in (b"SQLite format 3\0", b""):
            yield _make_unreachable_finding(uri, f"{database} is not an SQLite database.", "configuration")


def _make_unreachable_finding(uri: str, reason: str, fault: Fault, *ways: Suggestion) -> Problem:
    return Problem(
        code="tracking-unreachable",
        title="the tracking address cannot be reached",
        where="--tracking-uri",
        given=redact_address(uri),
        why=reason,
        suggestions=ways or SUGGESTIONS,
        fault=fault,
    )


PLUGIN_SECONDS = 25.0
ANSWER_SLACK_SECONDS = 1.0


class TrackingCheck:
    """A check of the tracking address that starts at once.

    Raise JobFailed if the address's container plugin cannot be imported.
    """

    def __init__(self, document: JobDocument) -> None:
        self._uri = uri = document.placement.tracking_uri
        plugin = plugin_loader.load_tracking_plugin(document)
        find_problems = plugin.preflight_address if plugin else find_address_problems
        self._seconds = PLUGIN_SECONDS if plugin else ADDRESS_SECONDS
        self._future = DeadlineFuture(lambda: list(find_problems(uri)))

    def wait_for_findings(self) -> list[Problem]:
        """Wait for the findings, with a deadline: a name lookup has none of its own."""
        try:
            return self._future.result(self._seconds + ANSWER_SLACK_SECONDS)
        except DeadlineExceeded:
            return [make_silent_finding(self._uri, self._seconds)]
        except Exception as error:  # of a plugin
            reason = failure.describe_error(error).rstrip(".")
            return [_make_unreachable_finding(self._uri, f"The check failed: {reason}.", "code")]
