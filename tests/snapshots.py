"""Snapshots: what a whole page shows, in a small file of the folder `snapshots` beside the test. To accept another
page, remove the file and run the test: it is written again, and git shows what differs.
"""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
OTHER_EACH_TIME = {  # the first that matches counts
    r"(?:/[\w.-]+)+/pytest-of-\w+/pytest-\d+/(?:popen-gw\d+/)?[\w-]+": "TMP",
    re.escape(str(TESTS.parent)): "ROOT",
    r"\b\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?\b": "TIME",
    r"\b[0-9a-f]{12,}\b": "DIGEST",
    r"-[0-9a-f]{8}\b": "-HEX",
}


def check_snapshot(name: str, text: str) -> None:
    """Assert that a page is that of a file below tests/, but for empty lines, times, digests and local paths."""
    file = TESTS / name
    shown = "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())
    for pattern, name in OTHER_EACH_TIME.items():
        shown = re.sub(pattern, name, shown)
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
        pytest.fail(f"{file} was not there and is written: does it show what is meant?")
    assert shown == file.read_text(encoding="utf-8")
