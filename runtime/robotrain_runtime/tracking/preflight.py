"""Background checks whether the tracking address can be reached."""

import http.client
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract import child_python, failure, plugin_loader
from robotrain_runtime.contract.address import make_page_address, redact_address
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Fault
from robotrain_runtime.contract.finding import Finding, Suggestion, make_ways, read_findings
from robotrain_runtime.environments import run_environment
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.tracking import address

ADDRESS_SECONDS = 5.0
SUGGESTIONS = make_ways(
    "start the server, or correct its address",
    Suggestion("--tracking-uri sqlite:////FOLDER/mlflow.db", "a file, no server"),
)


def find_address_problems(uri: str) -> Iterator[Finding]:
    """Yield the findings about an address; none for kinds that only their own library can reach."""
    scheme = uri.partition(":")[0].lower()
    if scheme in ("http", "https"):
        yield from _check_server(uri)
    elif scheme == "sqlite":
        yield from _check_database(Path(uri.removeprefix("sqlite:///").partition("?")[0]), uri)


def make_silent_finding(uri: str, seconds: float = ADDRESS_SECONDS) -> Finding:
    """Return the finding for an address that did not answer in time."""
    return _make_unreachable_finding(uri, f"It did not answer within {seconds:g} s.", "network")


def _check_server(uri: str) -> Iterator[Finding]:
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
        why = getattr(error, "reason", None) or error
        why = getattr(why, "strerror", None) or why
        certificate = "CERTIFICATE_VERIFY_FAILED" in str(why)
        yield _make_unreachable_finding(uri, f"{why}".rstrip(".") + ".", "configuration" if certificate else "network")


def _check_database(database: Path, uri: str) -> Iterator[Finding]:
    existing = disk_cache.find_existing_parent(database)
    if not os.access(existing, os.W_OK):
        yield _make_unreachable_finding(uri, f"You may not write to {existing}.", "configuration")
    elif existing == database:
        content = b"?"
        with suppress(OSError), database.open("rb") as file:
            content = file.read(16)
        if content not in (b"SQLite format 3\0", b""):
            yield _make_unreachable_finding(uri, f"{database} is not an SQLite database.", "configuration")


def _make_unreachable_finding(uri: str, why: str, fault: Fault) -> Finding:
    return Finding(
        code="tracking-unreachable",
        title="the tracking address cannot be reached",
        where="--tracking-uri",
        given=redact_address(uri),
        why=why,
        ways=SUGGESTIONS,
        fault=fault,
    )


PLUGIN_SECONDS = 25.0
ANSWER_SLACK_SECONDS = 1.0


class TrackingCheck:
    """A check of the tracking address that starts at once. `python` returns the interpreter of an environment.

    Raise JobFailed if the address's container plugin cannot be imported, and what `python` raises.
    """

    def __init__(self, document: JobDocument, python: Callable[[PythonEnvironment], Path]) -> None:
        self._uri = uri = document.placement.tracking_uri
        plugin = plugin_loader.load_tracking_plugin(document)
        if plugin is None:
            self._seconds = ADDRESS_SECONDS
            self._future = DeadlineFuture(lambda: list(find_address_problems(uri)))
            return
        self._seconds = PLUGIN_SECONDS
        command = [str(python(plugin.ENVIRONMENT)), "-m", address.__name__, str(vars(plugin)["__name__"]), uri]
        environ = run_environment.make_program_environ(document)
        self._future = DeadlineFuture(lambda: _run_check_program(command, environ, uri))

    def wait_for_findings(self) -> list[Finding]:
        """Wait for the findings, with a deadline: a name lookup has none of its own."""
        try:
            return self._future.result(self._seconds + ANSWER_SLACK_SECONDS)
        except DeadlineExceeded:
            return [make_silent_finding(self._uri, self._seconds)]


def _run_check_program(command: Sequence[str], environ: Mapping[str, str], uri: str) -> list[Finding]:
    try:
        done = subprocess.run(
            command,
            cwd=child_python.NEUTRAL_FOLDER,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PLUGIN_SECONDS,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return [make_silent_finding(uri, PLUGIN_SECONDS)]
    lines = done.stdout.splitlines()
    line = next((line for line in lines if line.startswith(address.FINDINGS_PREFIX)), "")
    if not line:
        why = failure.explain_exit(done.returncode, lines).rstrip(".")
        return [_make_unreachable_finding(uri, f"The check failed: {why}.", "code")]
    return [*read_findings(json.loads(line.removeprefix(address.FINDINGS_PREFIX)))]
