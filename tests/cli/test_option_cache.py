"""Options of plugins from the cache, for help and TAB: never other ones than the plugins would give now."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WORKLOADS = Path(__file__).parents[2] / "workloads/robotrain_workloads"
PROBE = """
import json, sys
settled, *words = json.loads(sys.argv[1])
sys.argv = ["robotrain", *words]
sys.path.remove("")  # the working folder, which a console script has not
from robotrain.cli import main, option_cache
option_cache.SETTLED_SECONDS = settled
try:
    main()
except SystemExit:
    pass
sys.stdout.flush()
print(json.dumps([name for name in sys.modules if name.startswith("robotrain_workloads")]), file=sys.stderr)
"""
PLUGIN = """
import os
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugins.hookspecs import hook
from robotrain.model.workload import Workload
from robotrain_runtime.contract.parameter import Param

@dataclass(frozen=True, kw_only=True)
class Parameters:
    shovel: Annotated[str, Param(help="what to dig with", flag=os.environ.get("ACME_FLAG", "--shovel"))] = ""

@hook
def robotrain_workloads():
    return [Workload(name="dig", summary="", parameters=Parameters, roles={}, container_plugin="acme_dig")]
"""


class Shell:
    """Runs robotrain as a process of its own, with a cache folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.environ = os.environ | {"ROBOTRAIN_CACHE": str(folder / "cache"), "PYTHONPATH": str(folder / "site")}
        self.entries = folder / "cache/computed"
        self.loaded: list[str] = []
        """The modules of workloads that the last process loaded."""

    def run(self, *words: str, settled: float = -3600.0, **variables: str) -> str:
        command = [sys.executable, "-c", PROBE, json.dumps([settled, *words])]
        done = subprocess.run(command, env=self.environ | variables, capture_output=True, text=True, check=True)
        self.loaded = json.loads(done.stderr.splitlines()[-1])
        return done.stdout

    def tab(self, *words: str, settled: float = -3600.0, **variables: str) -> list[str]:
        line = {"COMP_WORDS": " ".join(["robotrain", *words]), "COMP_CWORD": str(len(words))}
        return self.run(settled=settled, _ROBOTRAIN_COMPLETE="complete_bash", **line, **variables).split()


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


@pytest.fixture
def own_workloads(tmp_path):
    """A copy of the built-in workloads that counts instead of them; their parameters can be edited."""
    copy = tmp_path / "site/robotrain_workloads"
    shutil.copytree(WORKLOADS, copy)
    return copy / "lerobot_train/parameters.py"


@pytest.mark.slow
def test_help_and_completion_load_no_plugin_the_second_time(shell):
    for show in (lambda: shell.run("submit", "--platform", "local", "--help"), lambda: shell.tab("submit", "--ba")):
        first = show()
        assert "--batch-size" in first
        assert shell.loaded
        assert show() == first
        assert not shell.loaded
    assert shell.tab("submit", "--policy-type", "diff") == ["diffusion"]
    assert not shell.loaded
    assert shell.tab("render", "--platform", "lo") == ["local"]


def test_completions_of_a_plugin_itself_are_asked_for_each_time(shell):
    assert shell.tab("submit", "lerobot-eval", "--policy-ru") == ["--policy-run"]
    assert shell.tab("submit", "lerobot-eval", "--policy-run", "la") == ["latest"]
    assert shell.tab("submit", "--set", "policy_type=diff") == ["policy_type=diffusion"]


@pytest.mark.slow
def test_an_edited_file_counts_at_once(shell, own_workloads):
    for _ in range(2):
        assert shell.tab("submit", "--batch-s") == ["--batch-size"]
    assert not shell.loaded
    before = own_workloads.stat()
    own_workloads.write_text(own_workloads.read_text().replace("batch_size:", "batch_siza:"))
    os.utime(own_workloads, ns=(before.st_atime_ns, before.st_mtime_ns + 2_000_000_000))
    assert shell.tab("submit", "--batch-s") == ["--batch-siza"]
    os.utime(own_workloads, ns=(before.st_atime_ns, before.st_mtime_ns))
    shell.tab("submit", "--batch-s")
    assert shell.loaded  # though size and modification time are those of before


def test_nothing_is_kept_of_files_that_changed_a_moment_ago(shell, own_workloads):
    shell.tab("submit", "--batch-s", settled=2.0)
    assert not shell.entries.exists()


@pytest.mark.slow
def test_plugins_count_from_the_moment_that_they_are_there_and_are_never_cached(shell, tmp_path):
    shell.tab("submit", "--ba")
    kept = sorted(shell.entries.iterdir())
    info = tmp_path / "site/acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[robotrain]\nworkload.dig = acme_dig\n")
    module = info.with_name("acme_dig.py")
    module.write_text(PLUGIN)
    assert shell.tab("submit", "dig", "--sho") == ["--shovel"]
    assert shell.tab("submit", "dig", "--sp", ACME_FLAG="--spade") == ["--spade"]
    # of another size: Python itself takes a compiled file for the same within a second
    module.write_text(PLUGIN.replace("shovel:", "excavator:").replace("--shovel", "--digger"))
    assert shell.tab("submit", "dig", "--d") == ["--dry-run", "--digger"]
    assert sorted(shell.entries.iterdir()) == kept
    shutil.rmtree(info)
    assert shell.tab("submit", "dig", "--digg") == []
    assert shell.tab("submit", "--ba") == ["--batch-size"]


@pytest.mark.slow
def test_settings_count_at_once(shell):
    assert shell.tab("submit", "--runs") == []
    Path("robotrain.toml").write_text('platform = "local"\n')
    for _ in range(2):
        assert shell.tab("submit", "--runs") == ["--runs-dir"]
        assert shell.tab("submit", "--runs", ROBOTRAIN_WITHOUT="platform.local") == []
        assert shell.tab("submit", "--dataset-r") == ["--dataset-repo-id"]
        assert shell.tab("submit", "--dataset-r", ROBOTRAIN_WITHOUT="source.huggingface") == []
    Path("robotrain.toml").write_text('platform = "osmo"\n')
    assert shell.tab("submit", "--runs") == []
    assert shell.tab("submit", "--poo") == ["--pool"]


@pytest.mark.parametrize("damage", [b"{", None])
def test_a_damaged_entry_is_replaced(shell, damage):
    assert shell.tab("submit", "--ba") == ["--batch-size"]
    (entry,) = shell.entries.iterdir()
    content = json.loads(entry.read_bytes())
    entry.write_bytes(json.dumps(content | {"options": [[1]]}).encode() if damage is None else damage)
    assert shell.tab("submit", "--ba") == ["--batch-size"]
    assert shell.loaded
    assert json.loads(entry.read_bytes()) == content


def test_a_cache_that_cannot_be_written_is_no_trouble(shell):
    shell.entries.parent.write_text("no folder")
    assert shell.tab("submit", "--ba") == ["--batch-size"]


def test_in_another_program_nothing_is_cached(robotrain, tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    assert "--batch-size" in robotrain("submit", "--help").stdout
    assert not (tmp_path / "cache").exists()


def test_help_as_the_value_of_an_option_is_a_mistake(command, tmp_path):
    done = subprocess.run([*command, "submit", "--platform", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "flag-without-value" in done.stderr
