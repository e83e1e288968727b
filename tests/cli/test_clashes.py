"""Two plugins that claim one flag or one environment name: refused, and both are named."""

import pytest

PLATFORM = """
from dataclasses import dataclass
from typing import Annotated, Any
from robotrain.plugin import ANY, YES, Capabilities, Param, Platform, PlatformEngine, PlatformPlans, hook

@dataclass(frozen=True, kw_only=True)
class Settings:
    FIELD

class FakeEngine(PlatformPlans, PlatformEngine):

    def check(self, job, settings):
        return ()


FAKE = Platform(
    name="fake",
    summary="hot",
    engine_class=FakeEngine,
    settings=Settings,
    capabilities=Capabilities(sources={("dataset", "local_path"): YES}, workloads={ANY: YES}, features={}),
)

@hook
def robotrain_platforms():
    return [FAKE]
"""
SOURCE = """
from robotrain.plugin import RoleFlag, SourceKind, hook

@hook
def robotrain_source_kinds():
    return [SourceKind(name="pet", title="pets", form="NAME", help="", roles={"dataset": RoleFlag(FLAG)},
                       recognizes=lambda text: False, parse=lambda text, base: None)]
"""


def find_clashes(robotrain, *words):
    answer = robotrain("explain", "--platform", *(words or ("fake",)), "--dataset-path", "x", "--json")
    assert answer.exit_code == 2
    problems = [problem for problem in answer.json["problems"] if problem["code"] == "names-clash"]
    return [(problem["where"], problem["title"]) for problem in problems]


TRAINING, DATASET = "workload lerobot-train", "source local_path and remote_path as dataset"


@pytest.mark.parametrize(
    ("field", "where", "owner"),
    [
        ('batch: Annotated[int, Param(flag="--batch-size")] = 1', "--batch-size", TRAINING),
        ('x: Annotated[int, Param(aliases=("--steps",))] = 1', "--steps", TRAINING),
        ('x: Annotated[int, Param(short="-j")] = 1', "-j", TRAINING),
        ('x: Annotated[str, Param(off="--no-val-split")] = ""', "--no-val-split", TRAINING),
        ("x: Annotated[str, Param(flag='--dataset-path')] = ''", "--dataset-path", DATASET),
        ("x: Annotated[str, Param(flag='--json')] = ''", "--json", "robotrain"),
        ("state: Annotated[str, Param()] = ''", "ROBOTRAIN_STATE", "robotrain"),
        ("input_0: Annotated[str, Param()] = ''", "ROBOTRAIN_INPUT_0", "robotrain"),
        ("batch_size: Annotated[str, Param(flag='--b')] = ''", "ROBOTRAIN_BATCH_SIZE", TRAINING),
        ("dataset_path: Annotated[str, Param(flag='--b')] = ''", "ROBOTRAIN_DATASET_PATH", DATASET),
    ],
)
def test_setting_with_a_taken_flag_or_variable_is_a_clash(robotrain, install, field, where, owner):
    install("acme-fake", {"platform.fake": "acme_fake"}, acme_fake=PLATFORM.replace("FIELD", field))
    assert (where, f"{owner} and platform fake both have {where}") in find_clashes(robotrain)


@pytest.mark.parametrize("field", ["val_metrics: Annotated[bool, Param()]", "input_size: Annotated[str, Param()]"])
def test_setting_with_a_similar_name_is_no_clash(robotrain, install, field):
    install("acme-fake", {"platform.fake": "acme_fake"}, acme_fake=PLATFORM.replace("FIELD", f"{field} = ''"))
    assert "both" not in robotrain("explain", "--platform", "fake", "--dataset-path", "x").stderr


@pytest.mark.parametrize(
    "flag", ['"--dataset-path", ("-d",)', '"--dataset-path", env=("PET",)', '"--other", ("--steps",)']
)
def test_source_with_a_taken_flag_is_a_clash(robotrain, install, flag):
    install("acme-pet", {"source.pet": "acme_pet"}, acme_pet=SOURCE.replace("FLAG", flag))
    clashes = find_clashes(robotrain, "local")
    assert clashes
    assert all("source pet as dataset" in title for _, title in clashes)


def test_source_kinds_may_share_a_flag(robotrain, install):
    install("acme-pet", {"source.pet": "acme_pet"}, acme_pet=SOURCE.replace("FLAG", '"--dataset-path"'))
    assert robotrain("explain", "--platform", "local", "--dataset-path", "x").exit_code == 0


def test_clash_leaves_help_and_other_platforms_usable(robotrain, install):
    field = 'batch: Annotated[int, Param(flag="--batch-size")] = 1'
    install("acme-fake", {"platform.fake": "acme_fake"}, acme_fake=PLATFORM.replace("FIELD", field))
    assert robotrain("submit", "--platform", "fake", "--help").stdout.count("--batch-size INT") == 1
    assert robotrain("explain", "--platform", "local", "--dataset-path", "x", "--batch-size", "3").exit_code == 0


def test_built_in_options_do_not_clash(robotrain, plain_platform):
    for platform in ("local", "plain"):
        answer = robotrain("explain", "--platform", platform, "--dataset-path", "x")
        assert answer.exit_code == 0
