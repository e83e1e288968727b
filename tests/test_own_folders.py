"""What a test writes is nobody's after it, neither the user's nor another test's: `own_folders` asserts it of each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain.store import files

LIST_FOLDERS = """
import json
from pathlib import Path
from robotrain.store import files
print(json.dumps([str(one.path) for one in files.list_own_folders()] + [str(Path.home())]))
"""


def list_folders() -> list[Path]:
    return [*(folder.path for folder in files.list_own_folders()), Path.home()]


def test_folders_are_the_tests_own_and_empty(tmp_path):
    assert [folder for folder in list_folders() if not str(folder).startswith(str(tmp_path))] == []
    assert [path for folder in list_folders() if folder.exists() for path in folder.iterdir()] == []


def test_a_process_that_a_test_starts_has_them_too():
    done = subprocess.run([sys.executable, "-c", LIST_FOLDERS], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [*map(str, list_folders())]


@pytest.mark.slow
def test_a_slow_test_shares_programs_and_environments_alone(tmp_path):
    state, cache, configuration, _ = list_folders()
    assert all(tmp_path in folder.parents for folder in (state, cache, configuration))
    assert sorted(path.name for path in cache.iterdir()) == ["environments", "uv", "warp"]
