"""`pytest --known-skips`, for CI: a skip for a reason not in known_skips.txt fails the session, since a test
that is left out by mistake looks like one that passes.
"""

import fnmatch
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("known_skips.txt")


class KnownSkips:
    """Collects the reasons of skipped tests; `reasons` are patterns of fnmatch."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        self.unknown: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.note(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.note(report.nodeid, report.longrepr)

    def note(self, test: str, longrepr: object) -> None:
        """Remember a skip that is not listed. pytest gives the reason as the third of (path, line, reason)."""
        reason = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr).removeprefix("Skipped: ")
        if not any(fnmatch.fnmatch(reason, pattern) for pattern in self.reasons):
            self.unknown.append(f"{test}: {reason}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unknown and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for reason in self.unknown:
            terminalreporter.line(f"SKIPPED, for a reason not in tests/{FILE.name}: {reason}", red=True)


def read_known() -> list[str]:
    """Return the patterns of known_skips.txt: a line each, after what they are for."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]
