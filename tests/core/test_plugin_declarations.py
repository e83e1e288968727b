"""What plugins declare: claims, features, and settings that reject or fail."""

import json
from pathlib import Path

import pytest
from plugin_sources import PLATFORM, indent, make_platform, make_source_kind

JOB = ("--platform", "plain", "--dataset-path", "x")


@pytest.fixture
def install_source(install):
    """Install a source as `acme-plain 0.3` with this claim."""
    return lambda source, claim="platform.plain": install(
        "acme-plain", {claim: "acme_plain"}, version="0.3", acme_plain=source
    )


def test_platform_without_a_claim_cannot_be_used(robotrain, install_source):
    install_source(PLATFORM, "acme")
    assert robotrain("render", *JOB).exit_code == 2


def test_source_kind_of_a_platform_cannot_replace_a_built_in_one(robotrain, install_source):
    shadow = make_source_kind().replace('"pet"', '"local_path"').replace("--pet", "--dataset-path")
    install_source(PLATFORM + shadow)
    answer = robotrain("render", *JOB, "--json")
    assert answer.exit_code == 0
    source, *_ = json.loads(answer.json["files"]["job.json"]["text"])["sources"]
    assert Path(source["uri"]).is_absolute()  # the built-in kind makes it so; the other keeps what was typed


def test_platform_needs_no_method_for_a_feature_that_it_declares_no(robotrain, install_source):
    source = make_platform(state="running").replace("    def cancel(", "    def stop(")
    no_cancel = 'features={"cancel": no("Its jobs cannot be stopped.", "wait until it ends"),'
    install_source(source.replace("features={", no_cancel, 1))
    run = robotrain("submit", *JOB, "--no-pin", "--json").json["run"]
    for words in (("cancel", run), ("register", run, "model")):
        robotrain(*words).check_problems(3, "feature-not-there")


@pytest.fixture
def install_settings(install_source):
    """Install a platform whose settings have a `__post_init__` of this body."""

    def install_settings(body: str) -> None:
        replicas = 'Param(help="how many", gt=0)] = 1\n'
        install_source(PLATFORM.replace(replicas, f"{replicas}\n    def __post_init__(self):\n{indent(body, 8)}"))

    return install_settings


def test_settings_that_cannot_be_combined_are_rejected_in_the_plugins_words(robotrain, install_settings):
    refusal = "raise ValueError('zone north has one replica: https://north/?sig=c2VjcmV0')"
    install_settings(f"if self.replicas > 1 and self.zone == 'north':\n    {refusal}")
    answer = robotrain("render", *JOB, "--replicas", "2", "--batch-size", "many")
    answer.check_problems(2, "value-invalid", "value-invalid --batch-size many")
    assert "c2VjcmV0" not in answer.stderr
    assert robotrain("render", *JOB, "--replicas", "2", "--zone", "south").exit_code == 0


@pytest.mark.parametrize(
    "body", ["raise KeyError('team')", "raise SystemExit(3)", "raise GeneratorExit('?sig=c2VjcmV0')"]
)
def test_settings_that_fail_are_a_failure_of_their_plugin(robotrain, install_settings, body):
    install_settings(body)
    answer = robotrain("render", *JOB)
    answer.check_problems(1, "plugin-failed")
    assert not [words for words in ("Traceback", "c2VjcmV0") if words in answer.stderr]


def test_what_settings_print_goes_to_stderr(robotrain, install_settings):
    install_settings("print('noise')")
    answer = robotrain("render", *JOB, "--json")
    assert answer.json["platform"] == "plain"
    assert "noise" in answer.stderr
