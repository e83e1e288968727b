"""The secrets of a run's work: read where it runs, given to the work alone, and hidden in its output."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.failure import describe_error
from robotrain_runtime.contract.files import read_limited_file
from robotrain_runtime.contract.problem import Problem, ProblemError, Suggestion, make_data_problem
from robotrain_runtime.contract.secret_rules import NOTIFY_VARIABLE
from robotrain_runtime.contract.secret_store import SecretStorePlugin

SECRET_FLAG = "--secret"
MAX_SECRET_BYTES = 64 << 10
MIN_HIDDEN_LENGTH = 8
"""A shorter text also stands in lines for other reasons."""
HIDDEN = "<redacted>"
STORE_SECONDS = 60.0


class WorkSecrets:
    """The secrets of one run's work, or the address of its webhook. Variables that the platform set for them leave
    the environment of this process.
    """

    def __init__(self, document: JobDocument, of_webhook: bool = False) -> None:
        self.values: dict[str, str] = {}
        """Those that were read, by the environment variable of the work."""
        self._hidden_texts: list[str] = []
        self._document = document
        secrets = document.placement.secrets.items()
        self._locations = {name: location for name, location in secrets if (name == NOTIFY_VARIABLE) == of_webhook}
        self.names = self._locations.keys()
        """Those of all, by the same variables."""
        variables = _list_variables(self._locations)
        self._variables = {secret_location: os.environ.pop(name, "") for secret_location, name in variables.items()}

    def read_here(self) -> list[Problem]:
        """Read the secrets in files and variables; return the findings about those that cannot be read."""
        findings: list[Problem] = []
        for name, location in self._locations.items():
            if location in self._variables:
                secret = self._variables[location]
                problem = f"the platform did not set {_parse_variable(location)}"
            elif _is_address(location):
                continue
            else:
                secret, problem = _read_file(location)
            findings += self._accept_value(name, secret, problem)
        return findings

    def read_stores(self) -> list[Problem]:
        """Read the other secrets; return the findings about those that cannot be read. Raise JobFailed."""
        unread_locations = {name: location for name, location in self._locations.items() if _is_address(location)}
        findings: list[Problem] = []
        for store in plugin_loader.load_secret_stores(self._document):
            store_locations = {name: location for name, location in unread_locations.items() if store.accepts(location)}
            unread_locations = {
                name: location for name, location in unread_locations.items() if name not in store_locations
            }
            try:
                answers = DeadlineFuture(partial(_read_secrets, store, store_locations)).result(STORE_SECONDS)
            except DeadlineExceeded:
                answers = dict.fromkeys(store_locations, ("", f"there was no answer within {STORE_SECONDS:g} s"))
            for name, value_and_problem in answers.items():
                findings += self._accept_value(name, *value_and_problem)
        return findings + [_make_finding(name, "no plugin of the job reads its address") for name in unread_locations]

    def hide(self, line: str) -> str:
        """Return a line of the work's output without the values of secrets, unless they are short."""
        for hidden_text in self._hidden_texts:
            line = line.replace(hidden_text, HIDDEN)
        return line

    def _accept_value(self, name: str, text: str, problem: Problem | str) -> Iterator[Problem]:
        """Keep the value of a secret; yield a finding if it is none. `problem`: the reason if it is empty."""
        if secret := text.strip():
            if "\0" not in secret:
                self.values[name] = secret
                secret_lines = {
                    secret_line.strip() for text in self.values.values() for secret_line in text.splitlines()
                }
                self._hidden_texts = sorted(
                    (secret_line for secret_line in secret_lines if len(secret_line) >= MIN_HIDDEN_LENGTH), key=len
                )[::-1]
                return
            problem = "it contains a zero byte, which no environment variable can hold"
        yield _make_finding(name, problem or "it is empty")


@contextmanager
def hidden_variables(document: JobDocument) -> Iterator[None]:
    """Take the variables of secrets out of the environment of this process meanwhile, so that no child has them."""
    secret_variables = {
        name: os.environ.pop(name)
        for name in _list_variables(document.placement.secrets).values()
        if name in os.environ
    }
    try:
        yield
    finally:
        os.environ.update(secret_variables)


def _list_variables(locations: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the platform sets for secrets, by the location that names them."""
    return {location: name for location in locations.values() if (name := _parse_variable(location))}


def _read_secrets(store: SecretStorePlugin, addresses: Mapping[str, str]) -> dict[str, tuple[str, Problem | str]]:
    """Return the text of each secret, or why there is none."""
    answers: dict[str, tuple[str, Problem | str]] = {}
    for name, address in addresses.items():
        try:
            answers[name] = (store.read(address), "")
        except ProblemError as error:
            answers[name] = ("", error.problem)
        except Exception as error:  # of a plugin
            answers[name] = ("", str(error) if isinstance(error, OSError) else describe_error(error))
    return answers


def _parse_variable(location: str) -> str:
    match = re.fullmatch(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", location)
    return match[1] if match else ""


def _is_address(location: str) -> bool:
    return "://" in location


def _read_file(path: str) -> tuple[str, str]:
    """Return the text of a file, or why there is none."""
    try:
        return read_limited_file(Path(path), MAX_SECRET_BYTES).decode(), f"{path} is empty"
    except OSError as error:
        return "", f"{path}: {error.strerror or error}"
    except UnicodeDecodeError:
        return "", f"{path} is not UTF-8 text"
    except ValueError as error:
        return "", f"{path}: {error}"


def _make_finding(name: str, problem: Problem | str) -> Problem:
    finding = make_data_problem(problem)
    suggestion = Suggestion(f"{SECRET_FLAG} NAME=REFERENCE", "names another secret")
    return Problem(
        code="secret-unreadable",
        title=f"the secret {name} cannot be read",
        where=SECRET_FLAG,
        given=name,
        why=f"{finding.title[:1].upper()}{finding.title[1:]}.",
        suggestions=(*finding.suggestions, suggestion),
    )
