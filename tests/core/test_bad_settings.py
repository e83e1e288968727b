"""Settings of a plugin that refuse, fail or print while they are made: told as a problem, and stdout holds results."""

import pytest
from broken_plugins import indented, plain_platform
from robotrain.plugins.declarations import validate_declaration
from robotrain.plugins.manager import Plugins

JOB = ("--platform", "plain", "--dataset-path", "x")
WITHOUT = "robotrain --without acme-plain …"


@pytest.fixture
def checked(install):
    """Install a platform whose settings have a `__post_init__` of this body."""

    def checked(body: str) -> None:
        replicas = 'Param(help="how many", gt=0)] = 1\n'
        check = f"\n    def __post_init__(self):\n{indented(body, 8)}"
        install(
            "acme-plain",
            {"platform.plain": "acme_plain"},
            acme_plain=plain_platform().replace(replicas, replicas + check),
        )

    return checked


def test_settings_that_do_not_go_together_are_told_in_the_plugins_words(robotrain, checked):
    checked("if self.replicas > 1 and self.zone == 'gale':\n    raise ValueError('gale has room for one rover')")
    answer = robotrain("render", *JOB, "--replicas", "2", "--batch-size", "many")
    assert answer.exit_code == 2
    assert "error: gale has room for one rover " in answer.stderr
    assert "--batch-size" in answer.stderr
    assert robotrain("render", *JOB, "--replicas", "2", "--zone", "jezero").exit_code == 0


def test_a_secret_in_what_settings_say_is_not_shown(robotrain, checked):
    checked("raise ValueError('no answer from https://plain/?sig=c2VjcmV0')")
    answer = robotrain("render", *JOB)
    assert "no answer from https://plain/?<redacted>" in answer.stderr
    assert "c2VjcmV0" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("bug", ["raise KeyError('team')", "raise SystemExit(3)", "raise GeneratorExit('team')"])
def test_settings_that_fail_are_told_as_their_plugins_failure(robotrain, checked, bug):
    checked(bug)
    answer = robotrain("render", *JOB)
    assert answer.exit_code == 1
    assert "platform plain (acme-plain 1.0) failed in `Settings`: " in answer.stderr
    assert "robotrain --without acme-plain …" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_what_settings_print_is_no_result(robotrain, checked):
    checked("print('noise')")
    answer = robotrain("render", *JOB, "--json")
    assert answer.json["platform"] == "plain"
    assert "noise" in answer.stderr


def test_what_robotrain_itself_declares_can_be_kept():
    """It is not validated when it is loaded."""
    plugins = Plugins()
    for workload in plugins.workloads().values():
        validate_declaration("workload", workload)
    for kind in plugins.source_kinds().values():
        validate_declaration("source", kind)
    for platform in plugins.platforms().values():
        validate_declaration("platform", platform._platform)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("Annotated[Path, Param()] = Path('x')", "spot: Annotated[str, Param(help=…, path=True)]"),
        ("Annotated[Path | None, Param()] = None", "spot: Annotated[str | None, Param(help=…, path=True)]"),
        ("Annotated[list[int], Param()] = ()", "a list or a mapping is a str, with path=True, json=True or table=True"),
        ("Annotated[int | str, Param()] = 1", "declared as int | str; expected a str,"),
        ("Annotated[Literal[1, 2], Param()] = 1", "declared as Literal[1, 2]; expected a str,"),
        (
            "Annotated[Literal['a', 'b'], Param()] = 'c'",
            "declared as Literal['a', 'b'], and its default 'c' is not one of them",
        ),
        ("Annotated[int, Param()] = 'x'", "declared as int, and its default 'x' is not an int"),
        ("Annotated[bool, Param()] = 1", "declared as bool, and its default 1 is not a bool"),
        ("Annotated[str, Param()] = None", "spot: Annotated[str | None, Param(help=…)] = None"),
        ("Annotated[str, Param()] = field(default_factory=str)", "has a default_factory; expected a default that help"),
        ("int = 1", "spot: Annotated[int, Param(help=…)]"),
        ("Annotated[str, Param(flag='spot')] = 'x'", "has the flag 'spot'; expected one such as --name"),
        ("Annotated[str, Param(aliases='--place')] = 'x'", "spot, aliases` is a str; expected a tuple"),
    ],
)
def test_what_cannot_be_kept_of_a_job_is_refused_by_its_name(robotrain, install, field, said):
    """As a setting; a workload's parameters are looked at alike."""
    replicas = "    replicas: Annotated"
    imports = "from dataclasses import field\nfrom pathlib import Path\nfrom typing import Literal\n"
    install(
        "acme-plain",
        {"platform.plain": "acme_plain"},
        acme_plain=imports + plain_platform().replace(replicas, f"    spot: {field}\n{replicas}"),
    )
    answer = robotrain("render", *JOB)
    assert answer.exit_code == 1
    assert "platform plain (acme-plain 1.0) failed in robotrain_platforms: " in answer.stderr
    assert "its `settings.spot" in answer.stderr
    assert said in answer.stderr
    assert WITHOUT in answer.stderr
    assert "Traceback" not in answer.stderr
