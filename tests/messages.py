"""Problems are asserted by code and place; their sentences are compared with messages.txt, which holds those of all
tests: `pytest --write-messages` writes what the tests that run print, and git shows what was reworded.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from robotrain.errors import Rejected
from robotrain_runtime.contract.finding import Finding, FindingError

FILE = Path(__file__).with_name("messages.txt")
ROOT = FILE.parents[1]
BLOCK = re.compile(r"^(?:error|warning|note): .*?\[([\w-]+)\]$(?:\n  .*)*", re.MULTILINE)
OTHER_EACH_TIME = {  # the first that matches counts
    r"(?:/[\w.-]+)+/pytest-of-\w+/pytest-\d+/(?:popen-gw\d+/)?[\w-]+": "TMP",
    re.escape(sys.prefix): "PREFIX",
    re.escape(str(ROOT)): "ROOT",
    r"ROOT/\.uv/bin/uv\b": "uv",  # where no other is on the PATH
    rf"(container|runs on|ssh) {re.escape(os.uname().nodename)}\b": r"\1 HOST",
    r"(?<=Asked: )(\S+) \S+": r"\1 VERSION",
    r"\brobotrain \d+\.\d+\.\d+": "robotrain VERSION",
    r"(?<=127\.0\.0\.1|localhost)(:| port )\d+": r"\1PORT",
    r"\b\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?\b": "TIME",
    r"\b[0-9a-f]{12,}\b": "DIGEST",
    r"-[0-9a-f]{8}\b": "-HEX",
    r" {2,}(?=\[[\w-]+\]$)": "  ",
}


def check_problems(found: str | Iterable[object], *expected: str) -> None:
    """Assert that a report, or a list of problems, has these, each "CODE" or "CODE PLACE", and no other error; more
    notes and warnings may be there. PLACE is how the second line of a problem's report begins.
    """
    shown = found if isinstance(found, str) else "\n".join(map(str, found))
    blocks = [(match[1], match[0]) for match in BLOCK.finditer(shown)]
    lines = [(" ".join([code, *block.split("\n  ")[1:2]]), block) for code, block in blocks]
    named = [(line, block) for line, block in lines if any(is_meant(one, line) for one in expected)]
    missing = [one for one in expected if not any(is_meant(one, line) for line, _ in lines)]
    other = [line for line, block in lines if (line, block) not in named and block.startswith("error")]
    assert (missing, other) == ([], []), shown
    for _, block in named:
        MESSAGES.compare(block)


@contextmanager
def check_rejected(*expected: str) -> Iterator[None]:
    """Assert that what follows is rejected with these problems, each "CODE" or "CODE PLACE", and no other error."""
    with pytest.raises(Rejected) as rejected:
        yield
    check_problems(rejected.value.problems, *expected)


def check_refusals(found: Exception | Iterable[object], *expected: str) -> None:
    """Assert what an error, findings or sentences of the machine of a job say, each "KIND" or "KIND PLACE". The kind is
    the code of a finding, the class of an error, or "sentence"; the place of an error is its fault: "os-error network".
    """
    refusals = [found] if isinstance(found, Exception) else found
    check_problems("\n".join(map(format_refusal, refusals)), *expected)


def check_shown(text: str) -> None:
    """Assert that a page, or a note without a code, is the one of messages.txt."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert lines, "nothing is shown"
    MESSAGES.compare("\n  ".join([f"shown: {lines[0]}", *lines[1:]]))


def format_refusal(refusal: object) -> str:
    """Return an error, a finding or a sentence in the form of a problem's report."""
    if isinstance(refusal, Finding):
        lines = (f"{refusal.where} {refusal.given}".strip(), refusal.why, *map(str, refusal.ways))
        return "\n  ".join([f"error: {refusal.title}  [{refusal.code}]", *filter(None, lines)])
    shown_as = "OSError" if isinstance(refusal, FindingError) else type(refusal).__name__
    kind = "sentence" if isinstance(refusal, str) else shown_as
    kind = re.sub("(?<=[a-z])(?=[A-Z])|(?<=OS)(?=E)", "-", kind).lower()
    first, *more = str(getattr(refusal, "sentence", refusal)).splitlines()
    suggestion = getattr(refusal, "suggestion", "")
    lines = (getattr(refusal, "fault", ""), *more, getattr(refusal, "way", ""), suggestion and f"use   {suggestion}")
    return "\n  ".join([f"error: {first}  [{kind}]", *filter(None, lines)])


def is_meant(expected: str, line: str) -> bool:
    """Return whether "CODE PLACE" names the problem of a line, its code and the second line of its report."""
    return f"{line} ".startswith(expected if " " in expected else f"{expected} ")


class Messages:
    """The sentences of each test, in the order in which it asserts them."""

    def __init__(self) -> None:
        self.is_writing = False
        self.known = {test: [*blocks] for test, blocks in read_messages(FILE.read_text(encoding="utf-8"))}
        self.seen: dict[str, list[str]] = {}
        self.collected: set[str] = set()

    def compare(self, block: str) -> None:
        """Compare a message of the running test with the file."""
        test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")[0].removeprefix("tests/")
        for pattern, name in OTHER_EACH_TIME.items():
            block = re.sub(pattern, name, block, flags=re.MULTILINE)
        block = block.encode(errors="backslashreplace").decode()  # half a character is none in a file
        seen = self.seen.setdefault(test, [])
        seen.append(block)
        if not self.is_writing:
            known = self.known.get(test, [])[len(seen) - 1 : len(seen)]
            assert known == [block], "another sentence than in messages.txt: is it meant? pytest --write-messages"

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.collected |= {item.nodeid.removeprefix("tests/") for item in items}  # those that do not run too

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        """Take over what a worker of xdist has seen."""
        seen, collected = getattr(node, "workeroutput", {}).get("messages", ({}, ()))
        self.seen |= seen
        self.collected |= {*collected}

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["messages"] = self.seen, [*self.collected]
        elif self.is_writing:
            is_whole = "::" not in "".join(session.config.args)
            whole = {file_of(one) for one in self.collected if is_whole}
            kept = {
                test: blocks
                for test, blocks in self.known.items()
                if (FILE.parent / file_of(test)).exists() and (file_of(test) not in whole or test in self.collected)
            }
            FILE.write_text(format_messages(kept | self.seen), encoding="utf-8")


def file_of(test: str) -> str:
    """Return the file of a test, below tests/."""
    return test.partition("::")[0]


def read_messages(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the tests of messages.txt with their messages."""
    for part in re.split(r"\n(?=\S)", text.strip("\n")) if text else ():
        test, _, rest = part.partition("\n")
        yield test, [re.sub(r"^  ", "", one, flags=re.MULTILINE) for one in re.split(r"\n(?=  \S)", rest) if one]


def format_messages(messages: dict[str, list[str]]) -> str:
    """Return the text of messages.txt."""
    lines = []
    for test, blocks in sorted(messages.items()):
        lines += [test, *(f"  {line}" for block in blocks for line in block.splitlines())]
    return "\n".join([*lines, ""])


MESSAGES = Messages()
