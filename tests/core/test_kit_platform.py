"""The kit of platforms passes a careful stranger's platform, and finds out each of many that are wrong."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from kit_planets import RIGHT, WRONG, kit_of, world

__all__ = ["world"]

pytestmark = pytest.mark.slow  # a whole kit, and dozens of its tests once more; the quick suite has that of `local`

HERE = Path(__file__).parent

TestPlanet = kit_of("planet")


@pytest.mark.long
def test_the_kit_finds_out_what_is_wrong_and_nothing_else(tmp_path):
    wanted = {
        (f"Test{name.title()}", test): [words] if isinstance(words, str) else words
        for name, tests in WRONG.items()
        for test, words in tests.items()
    }
    right = [(f"Test{name.title()}", test) for name, tests in RIGHT.items() for test in tests]
    nodes = [f"{HERE / 'kit_wrong_planets.py'}::{group}::{test}" for group, test in (*wanted, *right)]
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run([*command, *nodes], env=os.environ, capture_output=True, text=True)
    cases = ElementTree.parse(report).getroot().iter("testcase")
    found = {(case.get("classname", "").rpartition(".")[2], case.get("name")): case for case in cases}
    assert set(found) == {*wanted, *right}, done.stdout
    told = {
        key: "".join(f"{one.get('message')} {one.text}" for one in case.iter("failure")) for key, case in found.items()
    }
    assert [(key, told[key]) for key in right if [*found[key]]] == []
    missed = [
        f"{key}: {one!r} is not in:\n{told[key]}"
        for key, words in wanted.items()
        for one in words
        if one not in told[key]
    ]
    assert not missed, "\n\n".join(missed)
    assert [key for key, text in told.items() if "AssertionError" in text] == []
