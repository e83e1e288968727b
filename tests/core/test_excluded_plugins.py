"""`--without NAME`: an excluded plugin has no effect."""

import pytest
from problem_assertions import check_rejected
from robotrain import api
from robotrain.plugins import discovery, manager

JOB = ("--dataset-path", "x")
GO = """
import robotrain, typer
app = typer.Typer()

@app.command()
def go():
    for act in (robotrain.explain, robotrain.render, robotrain.submit):
        try:
            act(platform="plain", dataset_path="x")
            print(act.__name__)
        except robotrain.Rejected as rejected:
            last = rejected
    raise last
"""


@pytest.fixture
def broken_distribution(install):
    """A distribution with two names, both broken."""
    install("acme_grid", {"platform.grid": "acme_grid", "source.pet": "acme_grid"}, acme_grid="1/0")


@pytest.mark.parametrize(
    ("names", "env", "gone"),
    [
        (["acme_grid"], "", ["platform.grid", "source.pet"]),
        (["acme-grid"], "", ["platform.grid", "source.pet"]),
        (["Acme.Grid"], "", ["platform.grid", "source.pet"]),
        (["platform.grid"], "", ["platform.grid"]),
        (
            ["platform.grid", "platform.local"],
            "source.pet, source.run",
            ["platform.grid", "source.pet", "source.run", "platform.local"],
        ),
    ],
    ids=["distribution", "its normalized name", "another spelling", "claim", "several, also of the environment"],
)
def test_exclusion_by_distribution_or_claim(robotrain, broken_distribution, monkeypatch, names, env, gone):
    monkeypatch.setenv("ROBOTRAIN_WITHOUT", env)
    listed = robotrain(*(word for name in names for word in ("--without", name)), "plugins").stdout
    claims = ("platform.grid", "source.pet", "source.run", "platform.local")
    assert [name for name in claims if name not in listed] == sorted(gone, key=claims.index)


def test_python_calls_obey_the_environment(monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_WITHOUT", "robotrain-local")
    with check_rejected("plugin-failed"):
        api.render(platform="local", dataset_path="x")


def test_requested_platform_that_is_excluded_is_named_so(robotrain, plain_platform):
    answer = robotrain("--without", "robotrain-plain", "render", "--platform", "plain", *JOB)
    answer.check_problems(2, "plugin-not-loaded --platform plain")


@pytest.mark.parametrize("name", ["source.huggingface", "robotrain-sources"])
def test_option_of_an_excluded_source_kind_is_explained(robotrain, name):
    answer = robotrain("--without", name, "render", "--platform", "local", "-d", "lerobot/pusht")
    answer.check_problems(2, "option-unknown -d", "source-missing")


def test_every_unknown_name_is_rejected_with_the_nearest(robotrain, broken_distribution):
    names = ("acme-gird", "platform.gird", "grd", "qqq")
    answer = robotrain(*(word for name in names for word in ("--without", name)), "render", "--platform", "local", *JOB)
    answer.check_problems(2, *(f"plugin-unknown --without {name}" for name in names))


def test_without_after_the_command_is_moved_before_it(robotrain, broken_distribution):
    answer = robotrain("render", "--platform", "local", *JOB, "--without", "acme-grid")
    answer.check_problems(2, "option-unknown --without")


def test_core_with_one_plugin_suggests_the_standard_plugins(robotrain, plain_platform, monkeypatch):
    """A plugin requires robotrain-core, which is the command without any workload."""
    alone = [claim for claim in discovery.read_claims() if claim.package == "robotrain-plain"]
    monkeypatch.setattr(manager, "read_claims", lambda: alone)
    monkeypatch.setattr(discovery, "list_built_in_distributions", set)
    robotrain("submit", "--platform", "plain", *JOB).check_problems(2, "workload-missing")


@pytest.fixture
def calling_command(install, plain_platform):
    """A plugin's command that calls explain, render and submit, and prints those that succeed."""
    install("acme-go", {"command.go": "acme_go:app"}, acme_go=GO)


def test_python_calls_of_a_command_obey_without(robotrain, calling_command):
    answer = robotrain("--without", "robotrain-plain", "go")
    answer.check_problems(2, "plugin-failed")
    assert answer.stdout == ""
    assert api.explain(platform="plain", dataset_path="x")  # and its switches end with it
