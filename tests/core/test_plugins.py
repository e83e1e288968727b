"""Plugins: found by metadata, loaded when asked for, failures kept by name with their cause."""

import sys

import pytest
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins

SITE = """
from robotrain.plugin import Problem, Stage, hook

@hook
def robotrain_check(job, platform):
    if job["batch_size"] > 100:
        yield Problem(code="site-batch", stage=Stage.CHECK, title=f"batches on {platform} stay below 100 here")

@hook
def robotrain_run_changed(run):
    import pathlib
    pathlib.Path("told.txt").write_text(run.run)
"""

COMMAND = '''
import typer
app = typer.Typer()

@app.command()
def orbit(times: int = 2):
    """Orbit."""
    print("orbited", times)
'''


def test_a_broken_plugin_is_reported_by_name_and_everything_else_works(robotrain, install):
    install(
        "acme-slurm", {"platform.slurm": "acme_slurm"}, version="0.3", acme_slurm="import slurm_sdk_that_is_missing"
    )
    answer = robotrain("plugins")
    assert "platform.slurm" in answer.stdout
    assert "acme-slurm 0.3" in answer.stdout
    assert "No module named 'slurm_sdk_that_is_missing'" in answer.stdout
    assert robotrain("render", "--platform", "local", "--dataset-path", "x").exit_code == 0
    asked = robotrain("render", "--platform", "slurm", "--dataset-path", "x")
    assert asked.exit_code == 1
    assert "acme-slurm 0.3" in asked.stderr
    assert "slurm_sdk_that_is_missing" in asked.stderr


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "def f(:", "1/0"])
def test_whatever_a_plugin_dies_of_is_its_own_affair(robotrain, install, source):
    install("acme", {"source.bad": "acme_bad"}, acme_bad=source)
    assert robotrain("render", "--platform", "local", "--dataset-path", "x").exit_code == 0


def test_a_module_is_imported_only_when_its_name_is_asked_for(robotrain, install):
    install("acme", {"platform.other": "acme_other"}, acme_other="raise RuntimeError('imported')")
    robotrain("render", "--platform", "local", "--dataset-path", "x")
    assert "acme_other" not in sys.modules
    assert not Plugins().failures


def test_a_claim_that_is_not_kept_is_a_failure(install):
    install("acme", {"platform.ghost": "acme_ghost"}, acme_ghost="")
    with pytest.raises(PluginError, match="the plugin does not provide it"):
        Plugins().platform("ghost")


def test_a_hook_that_raises_is_a_failure_of_its_plugin(robotrain, install):
    source = "from robotrain.plugin import hook\n@hook\ndef robotrain_source_kinds():\n    raise OSError('disk gone')\n"
    install("acme", {"source.sad": "acme_sad"}, acme_sad=source)
    assert robotrain("render", "--platform", "local", "--dataset-path", "x").exit_code == 0
    assert "disk gone" in robotrain("plugins").stdout


def test_two_that_claim_one_name_are_both_named(robotrain, install):
    install("acme-one", {"platform.twin": "acme_twin"}, acme_twin="")
    install("acme-two", {"platform.twin": "acme_twin"})
    answer = robotrain("render", "--platform", "twin", "--dataset-path", "x")
    assert "acme-one 1.0 and acme-two 1.0" in answer.stderr


def test_failures_can_be_fatal(robotrain, install, monkeypatch):
    install("acme", {"source.bad": "acme_bad"}, acme_bad="1/0")
    render = ("render", "--platform", "local", "--dataset-path", "x")
    assert robotrain("--strict-plugins", *render).exit_code == 2
    monkeypatch.setenv("ROBOTRAIN_PLUGINS", "strict")
    answer = robotrain(*render)
    assert answer.exit_code == 2
    assert "ZeroDivisionError" in answer.stderr


def test_plugins_can_be_switched_off_and_what_robotrain_brings_stays(robotrain, install, monkeypatch):
    install("acme", {"platform.other": "acme_other"}, acme_other="1/0")
    assert "other" not in robotrain("--no-plugins", "plugins").stdout
    assert "platform.local" in robotrain("--no-plugins", "plugins").stdout
    monkeypatch.setenv("ROBOTRAIN_PLUGINS", "none")
    assert robotrain("render", "--platform", "local", "--dataset-path", "x").exit_code == 0


def test_a_site_plugin_adds_rules(robotrain, install):
    install("acme-site", {"acme": "acme_site"}, acme_site=SITE)
    render = ("render", "--platform", "local", "--dataset-path", "x", "--batch-size")
    assert robotrain(*render, "100").exit_code == 0
    answer = robotrain(*render, "101")
    assert answer.exit_code == 3
    assert "batches on local stay below 100 here" in answer.stderr


def test_a_plugin_brings_a_command(robotrain, install):
    install("acme-orbit", {"command.orbit": "acme_orbit:app"}, acme_orbit=COMMAND)
    assert robotrain("orbit", "--times", "3").stdout == "orbited 3\n"
    assert "command.orbit" in robotrain("plugins").stdout


def test_built_ins_use_the_same_doors():
    from importlib.metadata import entry_points

    claims = {claim.dotted for claim in Plugins().claims}
    assert claims == {point.name for point in entry_points(group="robotrain")}
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


def test_one_module_may_claim_several_names(install):
    install("acme", {"workload.one": "acme_both", "workload.two": "acme_both"}, acme_both=BOTH)
    plugins = Plugins()
    assert plugins.workload("one").name == "one"
    assert plugins.workload("two").name == "two"
    assert not plugins.failures


def test_a_stranger_cannot_take_over_a_built_in_name(robotrain, install):
    install("aaa", {"source.local_path": "aaa_shadow", "platform.local": "aaa_shadow"}, aaa_shadow="raise SystemExit")
    assert robotrain("render", "--platform", "local", "--dataset-path", "x").exit_code == 0
    rows = {
        (row["claim"], row["distribution"]): row["failure"] for row in robotrain("plugins", "--json").json["plugins"]
    }
    assert "claimed by" in rows["source.local_path", "aaa 1.0"]
    assert rows["source.local_path", "robotrain-sources 0.1.0"] is None


def test_a_site_plugin_that_does_not_load_is_named_before_anybody_relies_on_its_rule(robotrain, install):
    install("acme-site", {"acme": "acme_broken"}, acme_broken="import nope_x")
    answer = robotrain("render", "--platform", "local", "--dataset-path", "x")
    assert answer.exit_code == 0
    assert "the site plugin acme (acme-site 1.0) failed and was skipped" in answer.stderr
    assert "nope_x" in answer.stderr


def test_a_rule_that_answers_something_else_is_named(robotrain, install):
    source = "from robotrain.plugin import hook\n@hook\ndef robotrain_check(job):\n    return ['text']\n"
    install("acme-site", {"acme": "acme_text"}, acme_text=source)
    answer = robotrain("render", "--platform", "local", "--dataset-path", "x")
    assert answer.exit_code == 0
    assert "Problem objects" in answer.stderr


def test_platforms_names_those_that_failed(robotrain, install):
    install("acme", {"platform.broken": "acme_gone"}, acme_gone="import nope_x")
    assert "platform broken (acme 1.0) failed to load" in robotrain("platforms").stderr
    assert robotrain("--strict-plugins", "platforms").exit_code == 2


FAILING = """
from robotrain.plugin import hook

@hook
def robotrain_check(job):
    raise KeyError("team")

@hook
def robotrain_run_changed(run):
    raise OSError("no route to the chat")
"""


def test_a_site_plugin_that_fails_is_named_and_skipped(robotrain, install, mars):
    install("acme-site", {"acme": "acme_failing"}, acme_failing=FAILING)
    answer = robotrain("submit", "--platform", "mars", "--dataset-path", "x")
    assert answer.exit_code == 0
    assert "acme-site 1.0" in answer.stderr
    assert "KeyError" in answer.stderr
    assert "no route to the chat" in answer.stderr
    assert answer.stdout.startswith("lerobot-train-")
