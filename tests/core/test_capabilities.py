"""What a platform declares is what it does: combinations, limits and ANY are held by core, whoever declares them."""

from dataclasses import field, make_dataclass
from typing import Annotated

import pytest
from robotrain.model.capabilities import Capabilities
from robotrain.model.support import ANY, YES, no, not_yet
from robotrain.plugins.manager import Plugins
from robotrain_runtime.contract.parameter import Param

ON = ("--platform", "plain", "--no-pin")
BLOB = "https://acc.blob.core.windows.net/box"
BLOBS = ("--blob-url", f"{BLOB}/one", "--blob-url", f"{BLOB}/two")
MIXED = ("--blob-url", f"{BLOB}/one", "--dataset-path", "/data/two")
TAKEN = {("dataset", kind): YES for kind in ("blob_url", "local_path", "huggingface")}
WEIGHTS = {("backbone", "torchvision"): YES}
"""What a job of these data implies."""
REFUSED = no("A rover carries stones of one kind.", "a rover for each")

STONES = """
from dataclasses import dataclass
from typing import ClassVar
from robotrain.plugin import RoleFlag, SourceKind, hook

@dataclass(frozen=True)
class Stone:
    kind: ClassVar[str] = "stone"
    name: str
    def __str__(self):
        return self.name

@hook
def robotrain_source_kinds():
    flags = {role: f"--{role.replace('_', '-')}-stone" for role in ("dataset", "policy", "init_policy", "resume")}
    return [SourceKind(name="stone", title="stones", form="STONE", help="A stone.", container_plugin=HALF, target=HALF,
        requires=NEEDS, roles={role: RoleFlag(flag) for role, flag in flags.items()},
        recognizes=lambda text: text.startswith("stone:"), parse=lambda text, base: Stone(text))]
"""
HALF = "stones.container"
"""The module that fetches them; here only what is packed counts."""


@pytest.fixture
def declare_capabilities(plain_platform, monkeypatch):
    """Let plain declare something else."""

    def declare(**changes) -> None:
        import plain_plugin

        whole = {"sources": TAKEN, "workloads": {ANY: YES}, "features": {"several_datasets": YES}, **changes}
        whole["sources"] = WEIGHTS | whole["sources"]
        monkeypatch.setitem(vars(plain_plugin.PLAIN), "capabilities", Capabilities(**whole))

    return declare


@pytest.fixture
def install_stones(install):
    """A source kind of a stranger, with a container half or, for one that a platform has to mount, without."""

    def install_kind(half: str = HALF, requires: str = "") -> None:
        declared = STONES.replace("=HALF", f"={half!r}").replace("=NEEDS", f"={requires!r}")
        package = install("robotrain-stones", {"source.stone": "stones_kind"}, stones_kind=declared) / "stones"
        package.mkdir()
        for name in ("__init__.py", "container.py"):
            (package / name).write_text("")

    return install_kind


@pytest.fixture
def render(robotrain):
    return lambda *words: robotrain("render", "--platform", "plain", *words)


@pytest.fixture
def submit(robotrain):
    return lambda *words: robotrain("submit", *ON, "--dry-run", *words)


def test_a_refused_pair_is_refused_in_either_order(render, declare_capabilities):
    other = MIXED[2:] + MIXED[:2]
    for pair, words in ((("blob_url", "local_path"), other), (("local_path", "blob_url"), MIXED)):
        declare_capabilities(combinations={pair: REFUSED})
        render(*words).check_problems(3, f"combination-not-accepted {words[2]} {words[3]}")


UNNAMED = {
    "sources": {("dataset", ANY): YES, ("dataset", "local_path"): YES},
    "features": {ANY: YES, "runs_here": REFUSED},
}
TWO_BLOBS = {"combinations": {("blob_url", "blob_url"): not_yet("The second road is being built.")}}
ONE_PAIR = {
    "features": {"several_datasets": no("The disk is small.")},
    "combinations": {("local_path", "blob_url"): YES},
}
NO_FOLDERS = {"sources": {("dataset", "blob_url"): YES}, "combinations": {("blob_url", "local_path"): REFUSED}}
PAIRS = {
    "two of one kind": (TWO_BLOBS, BLOBS, "combination-not-accepted"),
    "one of that kind": (TWO_BLOBS, BLOBS[:2], ""),
    "another pair": (TWO_BLOBS, MIXED, ""),
    "a declared pair without the feature": (ONE_PAIR, MIXED, ""),
    "an undeclared pair without the feature": (ONE_PAIR, BLOBS, "feature-not-there"),
    "a kind that is not accepted": (NO_FOLDERS, MIXED, "source-not-accepted"),
    "a named pair before any": (
        {**UNNAMED, "combinations": {(ANY, ANY): REFUSED, ("local_path", "blob_url"): YES}},
        MIXED,
        "",
    ),
    **{
        f"{pair}": ({**UNNAMED, "combinations": {pair: REFUSED}}, words, "combination-not-accepted")
        for pair, words in ((("blob_url", ANY), BLOBS), ((ANY, "blob_url"), MIXED), ((ANY, ANY), MIXED))
    },
}


@pytest.mark.parametrize(("declared", "words", "refusal"), PAIRS.values(), ids=PAIRS)
def test_a_pair_of_datasets_is_accepted_as_it_is_declared(render, declare_capabilities, declared, words, refusal):
    declare_capabilities(**declared)
    render(*words).check_problems(3 if refusal else 0, *filter(None, [refusal]))


def test_too_many_sources_are_refused_with_a_platform_that_accepts_them(submit, declare_capabilities):
    declare_capabilities(limits={"sources": 1})
    assert submit(*MIXED).exit_code == 0
    submit(*BLOBS).check_problems(3, f"sources-over-limit --blob-url {BLOB}/two")


def test_more_sources_than_robotrain_accepts_are_one_problem(submit, declare_capabilities):
    declare_capabilities(limits={"sources": 8})
    answer = submit(*(word for number in range(65) for word in ("--blob-url", f"{BLOB}/{number}")))
    answer.check_problems(2, "sources-too-many")


def test_a_spec_that_is_too_large_is_refused_before_the_submit(robotrain, declare_capabilities):
    declare_capabilities(limits={"spec_kib": 9})
    words = ("--platform", "plain", "-d", "lerobot/pusht", "--", "--wandb.notes=" + "x" * 9000)
    for command in (("render",), ("submit", "--no-pin")):
        robotrain(*command, *words).check_problems(3, "spec-over-limit")
    assert robotrain("runs", "--json").json["runs"] == []


NO_LONGER_ACCEPTED = {
    "sources": ({"limits": {"sources": 1}}, "sources-over-limit"),
    "spec": ({"limits": {"spec_kib": 1}}, "spec-over-limit"),
    "pair": (
        {"combinations": {("blob_url", ANY): REFUSED, ("blob_url", "blob_url"): REFUSED}},
        "combination-not-accepted",
    ),
}


def test_an_earlier_plan_is_checked_again(robotrain, declare_capabilities, tmp_path):
    declare_capabilities()
    robotrain("render", "--platform", "plain", *BLOBS, "--to", tmp_path / "plan")
    run = robotrain("submit", *ON, *BLOBS).stdout.strip()
    for now, code in NO_LONGER_ACCEPTED.values():
        declare_capabilities(**now)
        for way in (("submit", "--plan", tmp_path / "plan"), ("resubmit", "--no-pin", run)):
            robotrain(*way).check_problems(3, code)
    assert [row["run"] for row in robotrain("runs", "--json").json["runs"]] == [run]


def test_a_spec_may_be_as_large_as_the_limit(robotrain, declare_capabilities, tmp_path):
    declare_capabilities()
    words = ("render", "--platform", "plain", "-d", "lerobot/pusht")
    robotrain(*words, "--to", tmp_path / "plan")
    size = (tmp_path / "plan/job.json").stat().st_size
    for kib, code in ((-(-size // 1024), 0), (size // 1024, 3)):
        declare_capabilities(limits={"spec_kib": kib})
        assert robotrain(*words).exit_code == code


def test_any_includes_kinds_of_plugins_that_the_container_fetches(submit, declare_capabilities, install_stones):
    declare_capabilities(sources={("dataset", ANY): YES})
    install_stones()
    assert submit("--dataset-stone", "stone:basalt").exit_code == 0
    assert submit("--blob-url", f"{BLOB}/one").exit_code == 0


def test_any_excludes_kinds_that_the_platform_has_to_mount(submit, declare_capabilities, install_stones):
    declare_capabilities(sources={("dataset", ANY): YES})
    install_stones(half="")
    submit("--dataset-stone", "stone:basalt").check_problems(3, "source-not-accepted --dataset-stone")
    assert submit("--dataset-asset", "azureml:pusht:3").exit_code == 3


def test_any_includes_a_kind_with_a_feature_only_if_the_platform_has_it(
    robotrain, submit, declare_capabilities, install_stones
):
    declare_capabilities(
        sources={("dataset", ANY): YES}, features={"tracking": no("Nobody watches plain.", "a telescope")}
    )
    install_stones(requires="tracking")
    submit("--dataset-stone", "stone:basalt").check_problems(3, "source-not-accepted --dataset-stone")
    rows = {row["what"]: row["support"] for row in robotrain("platforms", "plain", "--json").json["rows"]}
    assert rows["dataset from stone"] == rows["feature tracking"]
    assert rows["dataset from blob_url"][0]["level"] == "yes"


def test_a_feature_that_needs_a_setting_needs_its_value(submit, declare_capabilities, install_stones, monkeypatch):
    import plain_plugin

    telescope = ("telescope", Annotated[str | None, Param(help="whose")], field(default=None))
    settings = make_dataclass("Settings", [telescope], bases=(plain_plugin.Settings,), frozen=True, kw_only=True)
    monkeypatch.setitem(vars(plain_plugin.PLAIN), "settings", settings)
    declare_capabilities(
        sources={("dataset", ANY): YES}, features={"tracking": YES}, required_settings={"tracking": "telescope"}
    )
    install_stones(requires="tracking")
    submit("--dataset-stone", "stone:basalt").check_problems(3, "feature-not-there --dataset-stone stone:basalt")
    assert submit("--dataset-stone", "stone:basalt", "--telescope", "hubble").exit_code == 0
    assert submit("--blob-url", f"{BLOB}/one").exit_code == 0
    declare_capabilities(
        sources={("dataset", ANY): YES}, features={"tracking": YES}, disabled_by={"tracking": ("telescope", "off")}
    )
    off = submit("--dataset-stone", "stone:basalt", "--telescope", "off")
    off.check_problems(3, "feature-not-there --dataset-stone stone:basalt")
    assert submit("--dataset-stone", "stone:basalt").exit_code == 0
    assert submit("--blob-url", f"{BLOB}/one", "--telescope", "off").exit_code == 0


def test_a_named_kind_counts_before_any(submit, declare_capabilities):
    declare_capabilities(sources={("dataset", ANY): YES, ("dataset", "blob_url"): no("Blobs evaporate.")})
    submit("--blob-url", f"{BLOB}/one").check_problems(3, "source-not-accepted --blob-url")


def test_osmo_declares_its_limit_of_workflows():
    from robotrain_osmo.platform import CAPABILITIES
    from robotrain_osmo.spec import workflow

    assert CAPABILITIES.limits["spec_kib"] << 10 == workflow.MAX_WORKFLOW_BYTES


def test_the_example_of_each_kind_is_valid_and_in_its_printed_form(tmp_path):
    for name, kind in Plugins("none").source_kinds().items():
        if name != "run":
            source = kind.parse(kind.example, tmp_path)
            # a repository of the Hub is printed without the scheme that tells it from a folder where both are taken
            assert (source.kind, str(source), kind.warn(source)) == (name, kind.example.removeprefix("hf://"), [])


def test_any_includes_every_feature_that_is_not_named(robotrain, submit, declare_capabilities):
    words = ("--dataset-path", "x", "--num-gpus", "2")
    declare_capabilities(**UNNAMED)
    assert submit(*words).exit_code == 0
    assert ANY not in [row.get("feature") for row in robotrain("platforms", "--json").json["rows"]]
    declare_capabilities(**UNNAMED | {"features": {ANY: YES, "runs_here": REFUSED, "multi_gpu": REFUSED}})
    submit(*words).check_problems(3, "feature-not-there")
