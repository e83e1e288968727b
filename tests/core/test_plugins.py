"""Plugins: found by metadata, loaded when asked for, failures kept by name with their cause."""

import sys

import pytest
from plugin_sources import PLATFORM
from robotrain.plugins.manager import Plugins

RENDER_ON_PLAIN = ("render", "--platform", "plain", "--dataset-path", "x")
COMMAND = '''
import typer
app = typer.Typer()

@app.command()
def repeat(times: int = 2):
    """Repeat."""
    print("repeated", times)
'''


def test_module_is_imported_only_when_its_name_is_used(robotrain, install):
    install("acme", {"platform.other": "acme_other"}, acme_other="raise RuntimeError('imported')")
    robotrain("render", "--platform", "local", "--dataset-path", "x")
    assert "acme_other" not in sys.modules
    assert not Plugins().failures


def test_no_plugins_leaves_the_built_in_ones(robotrain, install, monkeypatch):
    install("acme", {"platform.other": "acme_other"}, acme_other="1/0")
    assert "other" not in robotrain("--no-plugins", "plugins").stdout
    assert "platform.local" in robotrain("--no-plugins", "plugins").stdout
    monkeypatch.setenv("ROBOTRAIN_PLUGINS", "none")
    assert robotrain("render", "--platform", "local", "--dataset-path", "x").exit_code == 0


def test_plugin_adds_a_command(robotrain, install):
    install("acme-repeat", {"command.repeat": "acme_repeat:app"}, acme_repeat=COMMAND)
    assert robotrain("repeat", "--times", "3").stdout == "repeated 3\n"
    assert "command.repeat" in robotrain("plugins").stdout


def test_built_in_plugins_are_entry_points():
    from importlib.metadata import entry_points

    claims = {claim.dotted for claim in Plugins().claims}
    points = {point.name for point in entry_points(group="robotrain")}
    assert claims == {name for name in points if not name.startswith("default-workload.")}
    assert {"platform.local", "workload.lerobot-train", "source.local_path"} <= claims


BOTH = """
from robotrain.plugin import Workload, hook
from dataclasses import dataclass

@dataclass(frozen=True)
class Parameters: pass

@hook
def robotrain_workloads():
    more = dict(parameters=Parameters, roles={}, container_plugin="x.y")
    return [Workload(name=name, summary="", **more) for name in ("one", "two")]
"""


def test_module_may_claim_several_names(install):
    install("acme", {"workload.one": "acme_both", "workload.two": "acme_both"}, acme_both=BOTH)
    plugins = Plugins()
    assert plugins.workload("one").name == "one"
    assert plugins.workload("two").name == "two"
    assert not plugins.failures


def test_name_that_two_plugins_claim_is_nobodys(robotrain, install):
    for package in ("acme_one", "acme_two"):
        install(package, {"platform.plain": package}, **{package: PLATFORM})
    robotrain(*RENDER_ON_PLAIN).check_problems(1, "plugin-not-loaded --platform plain")
    assert robotrain("--without", "acme_two", *RENDER_ON_PLAIN).exit_code == 0


@pytest.mark.parametrize("claim", ["platform.other", "workload.plain"])
def test_claimed_name_that_the_plugin_does_not_provide(robotrain, install, claim):
    install("acme", {claim: "acme_plain"}, acme_plain=PLATFORM)
    rows = {row["claim"]: row for row in robotrain("plugins", "--json").json["plugins"]}
    assert claim.partition(".")[2] in rows[claim]["failure"]
    assert rows[claim]["instead"][-1]["text"] == "robotrain --without acme …"
    if claim == "platform.other":
        answer = robotrain("render", "--platform", "other", "--dataset-path", "x")
        answer.check_problems(1, "plugin-not-loaded --platform other")


def test_built_in_name_cannot_be_taken_over(robotrain, install):
    install("aaa", {"source.local_path": "aaa_shadow", "platform.local": "aaa_shadow"}, aaa_shadow="raise SystemExit")
    assert robotrain("render", "--platform", "local", "--dataset-path", "x").exit_code == 0
    rows = {
        (row["claim"], row["distribution"]): row["failure"] for row in robotrain("plugins", "--json").json["plugins"]
    }
    assert "claimed by" in rows["source.local_path", "aaa 1.0"]
    assert rows["source.local_path", "robotrain-sources 0.1.0"] is None


def test_platforms_lists_failed_plugins(robotrain, install):
    install("acme", {"platform.broken": "acme_gone"}, acme_gone="import nope_x")
    robotrain("platforms").check_problems(0, "plugin-failed")
