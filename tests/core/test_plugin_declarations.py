"""What plugins declare: `robotrain plugins` and `plugins check` name what is wrong; settings that reject or fail."""

import json
from pathlib import Path

import pytest
from plugin_sources import (
    PLATFORM,
    declare,
    declare_setting,
    indent,
    make_hook,
    make_platform,
    make_source_kind,
    make_workload,
)
from robotrain.plugins.declarations import validate_declaration
from robotrain.plugins.manager import Plugins

JOB = ("--platform", "plain", "--dataset-path", "x")
ON_LOCAL = ("render", "--platform", "local", "--dataset-path", "x")


def declare_capabilities(declared: str) -> str:
    imported = "from robotrain.model.capabilities import Support"
    return declare(f"{imported}\n    capabilities = Capabilities({declared})")


def declare_workload(declared: str) -> str:
    workload = f"Workload(name='dig', summary='', roles={{}}, container_plugin='x', {declared})"
    return make_hook("robotrain_workloads", f"from robotrain.model.workload import Workload\nreturn [{workload}]")


def declare_parameter(field: str) -> str:
    imports = "from dataclasses import make_dataclass\nfrom pathlib import Path\nfrom typing import Annotated\n"
    imports += "from robotrain.plugin import Param\n"
    kind, default = field.split(" = ")
    return f"{imports}Dig = make_dataclass('Dig', [('deep', {kind}, {default})], frozen=True)\n" + declare_workload(
        "parameters=Dig"
    )


NO_CAPABILITIES = declare("capabilities = {}")
WRONG_ALIASES = make_source_kind(flag="'--pet', aliases='-p'")
MALFORMED = {
    "platform.plain": [
        NO_CAPABILITIES,
        declare("settings = Settings()"),
        declare_capabilities("limits={'sources': '3'}"),
        declare_capabilities("limits={'sources': 0}"),
    ],
    "workload.dig": [
        declare_workload("parameters=int"),
        declare_parameter("Annotated[Path, Param()] = Path('x')"),
    ],
    "source.pet": [
        make_source_kind(flag="'not a flag'"),
        make_source_kind(flag="'-p'"),
        make_source_kind(flag="'--pet', aliases=('pet',)"),
        WRONG_ALIASES,
    ],
}
SETTINGS = [
    "Annotated[Path, Param()] = Path('x')",
    "Annotated[Path | None, Param()] = None",
    "Annotated[list[int], Param()] = ()",
    "Annotated[int | str, Param()] = 1",
    "Annotated[Literal[1, 2], Param()] = 1",
    "Annotated[Literal['a', 'b'], Param()] = 'c'",
    "Annotated[int, Param()] = 'x'",
    "Annotated[bool, Param()] = 1",
    "Annotated[str, Param()] = None",
    "Annotated[str, Param()] = field(default_factory=str)",
    "Annotated[int, Param(form='pairs')] = 1",
    "int = 1",
    "Annotated[str, Param(flag='spot')] = 'x'",
]


@pytest.fixture
def install_source(install):
    """Install a source as `acme-plain 0.3` with this claim."""
    return lambda source, claim="platform.plain": install(
        "acme-plain", {claim: "acme_plain"}, version="0.3", acme_plain=source
    )


def check_malformed(robotrain, install_source, claim, source) -> None:
    install_source(source, claim)
    answer = robotrain("plugins", "check")
    answer.check_problems(1, "plugin-failed")
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(("claim", "at"), [(claim, at) for claim, all in MALFORMED.items() for at in range(len(all))])
def test_check_names_a_malformed_declaration(robotrain, install_source, claim, at):
    check_malformed(robotrain, install_source, claim, MALFORMED[claim][at])


@pytest.mark.parametrize("field", SETTINGS)
def test_check_names_a_malformed_setting(robotrain, install_source, field):
    check_malformed(robotrain, install_source, "platform.plain", declare_setting(field))


def test_check_of_plugins_that_are_well_declared(robotrain, plain_platform):
    answer = robotrain("plugins", "check")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == robotrain("plugins").stdout
    assert robotrain("plugins", "check", "--json").json == robotrain("plugins", "--json").json


def test_malformed_platform_is_named_and_the_others_are_listed(robotrain, install_source):
    install_source(NO_CAPABILITIES)
    answer = robotrain("platforms", "--json")
    answer.check_problems(0, "plugin-failed")
    assert {"plain", "local"} & {*answer.json["platforms"]} == {"local"}
    assert robotrain(*ON_LOCAL).exit_code == 0


def test_built_in_declarations_are_valid():
    """They are not validated when they are loaded."""
    plugins = Plugins()
    for workload in plugins.workloads().values():
        validate_declaration(workload)
    for kind in plugins.source_kinds().values():
        validate_declaration(kind)
    for platform in plugins.platforms().values():
        validate_declaration(platform)


def read_remarks(robotrain) -> dict[str, list[str]]:
    """Return the warnings of `robotrain plugins` by claim."""
    return {row["claim"]: row["remarks"] for row in robotrain("plugins", "--json").json["plugins"] if row["remarks"]}


DIG = make_workload(
    "dig", 'deep: Annotated[bool, Param(help="how", requires="multi_gpus")] = False', produces="'files'"
)
MISSPELLED = declare("capabilities = Capabilities(features={'multi_gpus': YES}, limits={'source': 3})")
REMARKS = [
    (
        "platform.plain",
        PLATFORM.replace('KINDS = ("huggingface",', 'KINDS = ("ghost", "huggingface",'),
        ["it says yes to dataset from ghost, and nothing installed brings that kind"],
    ),
    (
        "platform.plain",
        MISSPELLED.replace("    def cancel(", "    def stop(").replace("    def find(", "    def seek("),
        [
            "it has no method find, cancel, and fails where that is needed",
            "it declares the feature multi_gpus, which robotrain has not; it has multi_gpu",
            "it declares the limit source, which robotrain has not; it has sources",
        ],
    ),
    (
        "workload.dig",
        DIG,
        ["its parameter deep needs the feature multi_gpus, which no platform has; there is multi_gpu"],
    ),
    ("acme", PLATFORM, ['it brings platform plain and does not claim it: "platform.plain"']),
]


@pytest.mark.parametrize(("claim", "source", "remarks"), REMARKS)
def test_list_warns_of_declarations_that_look_wrong(robotrain, install_source, claim, source, remarks):
    install_source(source, claim)
    assert read_remarks(robotrain) == {claim: remarks}


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
    assert any("source local_path" in remark for remark in read_remarks(robotrain)["platform.plain"])


@pytest.mark.parametrize("base", ["Platform", "RunFolderPlatform"])
def test_platform_needs_no_method_for_a_feature_that_it_declares_no(robotrain, install_source, base):
    source = make_platform(state="running").replace("    def cancel(", "    def stop(")
    source = source.replace("    Platform,\n", f"    {base},\n").replace(
        "PlainPlatform(Platform)", f"PlainPlatform({base})"
    )
    no_cancel = 'features={"cancel": no("Its jobs cannot be stopped.", "wait until it ends"),'
    install_source(source.replace("features={", no_cancel, 1))
    assert read_remarks(robotrain) == {}
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
