"""The kit of platforms passes a correct platform, and reports the fault of each faulty one."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from kit_platform_faults import RIGHT, WRONG, make_kit, world

__all__ = ["world"]

pytestmark = pytest.mark.slow  # a whole kit, and dozens of its tests once more; the quick suite has that of `local`

HERE = Path(__file__).parent

TestSample = make_kit("sample")


@pytest.mark.long
def test_each_fault_fails_its_standard_tests_and_nothing_else(tmp_path):
    wanted = {
        (f"Test{name.title()}", test): [words] if isinstance(words, str) else words
        for name, tests in WRONG.items()
        for test, words in tests.items()
    }
    right = [(f"Test{name.title()}", test) for name, tests in RIGHT.items() for test in tests]
    nodes = [f"{HERE / 'kit_faulty_platform_tests.py'}::{group}::{test}" for group, test in (*wanted, *right)]
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run([*command, *nodes], env=os.environ, capture_output=True, text=True)
    cases = ElementTree.parse(report).getroot().iter("testcase")
    found = {(case.get("classname", "").rpartition(".")[2], case.get("name")): case for case in cases}
    assert set(found) == {*wanted, *right}, done.stdout
    messages = {
        key: "".join(f"{one.get('message')} {one.text}" for one in case.iter("failure")) for key, case in found.items()
    }
    assert [(key, messages[key]) for key in right if [*found[key]]] == []
    missed = [
        f"{key}: {one!r} is not in:\n{messages[key]}"
        for key, words in wanted.items()
        for one in words
        if one not in messages[key]
    ]
    assert not missed, "\n\n".join(missed)
    assert [key for key, text in messages.items() if "AssertionError" in text] == []
