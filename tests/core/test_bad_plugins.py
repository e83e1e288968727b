"""Plugins that go wrong: the user sees which, what it did, and how to go on without it; others' work goes on."""

import sys
import threading
from pathlib import Path

import pytest
from broken_plugins import LITTLE_TIME, PLAIN_PLATFORM, hook, kind, plain_platform
from robotrain.model.run import Status, StepStatus
from robotrain.plugins import calls, guards

JOB = ("--dataset-path", "x")
ON_PLAIN = ("--platform", "plain", *JOB)
LOCAL = ("render", "--platform", "local", *JOB)
WAY_OUT = "robotrain --without acme-plain …"


@pytest.fixture
def bad(install):
    """Install a source as `acme-plain 0.3`; with another a second time, as if it had been changed.

    module: one of its own for a source that hangs, as what is imported once more waits for that.
    """
    sites: list[Path] = []

    def bad(source: str, claim: str = "platform.plain", module: str = "acme_plain", point: str = "") -> None:
        if not sites:
            sites.append(install("acme-plain", {claim: point or module}, version="0.3", **{module: source}))
        (sites[0] / f"{module}.py").write_text(source)
        sys.modules.pop(module, None)

    return bad


def told(answer, *words: str, code: int = 1) -> None:
    """A sentence names the plugin, what it did and the way out, and nothing is a traceback."""
    assert answer.exit_code == code
    assert "(acme-plain 0.3) " in answer.stderr
    for word in (*words, WAY_OUT):
        assert word in answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout


RAISES, EXITS = ("raise KeyError('team')", "KeyError: 'team'"), ("sys.exit(7)", "SystemExit: 7")
CANCELLED = "import asyncio\nraise asyncio.CancelledError('out of time')\n"
BUGS = [
    ("render", "check", *RAISES),
    ("render", "render", *EXITS),
    ("render", "check", CANCELLED, "CancelledError: out of time"),
    ("submit", "preflight", *RAISES),
    ("submit", "submit", *EXITS),
    ("status", "status", *RAISES),
    ("logs", "logs", "yield 1 / 0", "ZeroDivisionError"),
    ("outputs", "outputs", "yield 1 / 0", "ZeroDivisionError"),
]


@pytest.mark.parametrize(("command", "method", "bug", "said"), BUGS)
def test_a_method_that_goes_wrong(robotrain, bad, command, method, bug, said):
    words = ON_PLAIN if command in ("render", "submit") else ()
    if not words:
        bad(plain_platform(state="running"))
        robotrain("submit", *ON_PLAIN)
    bad(plain_platform(method, bug, state="running"))
    told(robotrain(command, *words), f"latform plain (acme-plain 0.3) failed in {method}: {said}")
    assert robotrain(*LOCAL).exit_code == 0


ANSWERS = [
    ("render", "check", "return None", "TypeError: 'NoneType' object is not iterable"),
    (
        "render",
        "render",
        "return Plan(platform='plain', run=run, job=job, spec='a', files={'a': 'text'})",
        "bytes are due",
    ),
    ("render", "render", "return Plan(platform='plain', run=run, job=job, spec='a', files={})", "none of its files"),
    ("render", "render", "return {'a': b''}", "it returned an object of the type dict; expected Plan"),
    ("render", "check", "return ['too deep']", "it returned an object of the type str; expected Problem"),
    ("submit", "preflight", "yield 'too deep'", "it returned an object of the type str; expected Problem"),
    ("submit", "submit", "return 'job 7'", "it returned an object of the type str; expected Reference"),
    ("status", "status", "return 'running'", "it returned an object of the type str; expected Status"),
    ("status", "status", "return Status(state='fine')", "its state is 'fine'; expected one of pending, running, "),
    ("logs", "logs", "yield b'line'", "it returned an object of the type bytes; expected str"),
    ("outputs", "outputs", "return None", "it returned None; expected Iterable[Output]"),
    ("outputs", "outputs", "yield 'checkpoint'", "it returned a list of str; expected Iterable[Output]"),
]


@pytest.mark.parametrize(("command", "method", "body", "said"), ANSWERS)
def test_an_answer_of_the_wrong_kind(robotrain, bad, command, method, body, said):
    words = ON_PLAIN if command in ("render", "submit") else ()
    if not words:
        bad(plain_platform())
        robotrain("submit", *ON_PLAIN)
    bad(plain_platform(method, body))
    told(robotrain(command, *words), f"failed in {method}: ", said)


def test_everything_else_that_is_wrong_is_told_beside_a_rule_that_goes_wrong(robotrain, bad):
    body = "yield Problem(code='deep', stage=Stage.CHECK, title='too deep')\nraise KeyError('team')"
    bad("from robotrain.errors import Problem, Stage\n" + plain_platform("check", body))
    answer = robotrain("render", *ON_PLAIN, "--batch-size", "many")
    told(answer, "--batch-size", "failed in check", code=2)


def test_what_a_look_said_before_it_went_wrong_counts(robotrain, bad):
    body = "yield Problem(code='dust', stage=Stage.PREFLIGHT, title='there is a storm')\nraise KeyError('sun')"
    bad("from robotrain.errors import Problem, Stage\n" + plain_platform("preflight", body))
    told(robotrain("submit", *ON_PLAIN), "there is a storm", "failed in preflight: KeyError: 'sun'", code=4)


def test_after_a_submit_that_went_wrong_nothing_is_sent_twice(robotrain, bad, tmp_path):
    count = f"with open({str(tmp_path / 'taken')!r}, 'a') as file:\n    file.write('x')\n"
    bad(plain_platform("submit", count + "raise KeyError('id')"))
    told(robotrain("submit", *ON_PLAIN), "[submit-unsure]", "the same command")
    bad(plain_platform("find", "return {'id': 'm-1'}"))
    assert robotrain("submit", *ON_PLAIN).exit_code == 0
    assert (tmp_path / "taken").read_text() == "x"


HANG = "time.sleep(600)\nreturn ()"


def test_a_preflight_that_hangs_is_given_up(robotrain, bad, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLUGIN_SECONDS", "60")
    bad(plain_platform("preflight", HANG) + LITTLE_TIME)
    answer = robotrain("submit", *ON_PLAIN)
    told(answer, "failed in preflight: it gave no answer in 0.2 s", "ROBOTRAIN_PLUGIN_SECONDS=900 robotrain …")
    assert robotrain("runs").stdout == ""  # nothing was sent


def test_an_import_that_hangs_is_given_up(robotrain, bad, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLUGIN_SECONDS", "0.2")
    monkeypatch.setenv("ROBOTRAIN_HOOK_SECONDS", "0.2")
    bad("import time\ntime.sleep(600)\n", module="acme_hangs")
    told(robotrain("render", *ON_PLAIN), "failed to load: it gave no answer in 0.2 s", "ROBOTRAIN_PLUGIN_SECONDS=900")
    assert robotrain(*LOCAL).exit_code == 0


@pytest.mark.parametrize("source", ["import time\ntime.sleep(600)\n", hook("robotrain_source_kinds", HANG)])
def test_a_source_plugin_that_hangs_is_told_of_and_the_others_work_goes_on(robotrain, bad, monkeypatch, source):
    monkeypatch.setenv("ROBOTRAIN_HOOK_SECONDS", "0.2")
    bad(source, "source.pet", module=f"acme_hangs_{len(source)}")
    answer = robotrain(*LOCAL)
    told(answer, "warning: source pet (acme-plain 0.3) failed", "no answer in 0.2 s", code=0)
    assert answer.stdout
    quick = robotrain("--without", "acme-plain", *LOCAL)
    assert "acme-plain" not in quick.stderr


IMPORTS = [
    ("1/0", "ZeroDivisionError: division by zero"),
    ("def f(:", "SyntaxError: "),
    ("raise SystemExit(3)", "SystemExit: 3"),
    ("raise OSError('no answer from https://plain/?sig=c2VjcmV0')", "OSError: no answer from https://plain/?"),
]


@pytest.mark.parametrize(("source", "said"), IMPORTS)
def test_a_module_that_does_not_load(robotrain, bad, source, said):
    bad(source)
    answer = robotrain("render", *ON_PLAIN)
    told(answer, f"platform plain (acme-plain 0.3) failed to load: {said}")
    assert "c2VjcmV0" not in answer.stderr
    listed = robotrain("plugins")
    assert said in listed.stdout
    assert "c2VjcmV0" not in listed.stdout + listed.stderr
    assert robotrain(*LOCAL).exit_code == 0


@pytest.mark.parametrize(
    ("name", "claim"),
    [("robotrain_platforms", "platform.plain"), ("robotrain_source_kinds", "source.pet"), ("robotrain_health", "acme")],
)
@pytest.mark.parametrize("body", ["raise KeyError('team')", "return ['a text']"])
def test_a_hook_that_goes_wrong(request, robotrain, bad, name, claim, body):
    bad(hook(name, body), claim)
    if name == "robotrain_health":
        request.getfixturevalue("uncounted_cache")
    answer = robotrain("doctor") if name == "robotrain_health" else robotrain("plugins")
    said = "KeyError: 'team'" if "KeyError" in body else "TypeError: "
    assert f"(acme-plain 0.3) failed in {name}: {said}" in " ".join((answer.stdout + answer.stderr).split())
    assert "robotrain --without acme-plain …" in answer.stdout + answer.stderr
    assert robotrain(*LOCAL).exit_code == 0


@pytest.mark.parametrize(
    ("source", "claim", "said"),
    [
        (hook("robotrain_check", "raise KeyError('team')", "job"), "acme", "its rules were not enforced"),
        (hook("robotrain_run_changed", "raise KeyError('team')", "run"), "acme", "it was not told that"),
    ],
)
def test_a_site_plugin_that_goes_wrong_says_how_to_go_on_without_it(
    robotrain, install, plain_platform, source, claim, said
):
    install("acme-plain", {claim: "acme_site"}, version="0.3", acme_site=source)
    answer = robotrain("submit", *ON_PLAIN)
    told(answer, said, "KeyError: 'team'", code=0)
    assert "acme-plain" not in robotrain("--without", "acme", "submit", *ON_PLAIN).stderr


def test_two_that_claim_one_name_are_both_named_and_either_can_be_left_out(robotrain, install, bad):
    bad(plain_platform())
    install("acme-second", {"platform.plain": "acme_second"}, acme_second=plain_platform())
    told(
        robotrain("render", *ON_PLAIN),
        "claimed by acme-plain 0.3 and acme-second 1.0",
        "robotrain --without acme-second …",
    )
    assert robotrain("--without", "acme-second", "render", *ON_PLAIN).exit_code == 0


@pytest.mark.parametrize("claim", ["platform.fake", "workload.plain"])
def test_a_claim_that_is_not_kept(robotrain, bad, claim):
    bad(plain_platform(), claim)
    rows = {row["claim"]: row for row in robotrain("plugins", "--json").json["plugins"]}
    assert rows[claim]["failure"] == "acme_plain declares this name, but the plugin does not provide it"
    assert rows[claim]["instead"][-1]["text"] == WAY_OUT
    if claim == "platform.fake":
        told(robotrain("render", "--platform", "fake", *JOB), "declares this name, but the plugin does not provide it")


def test_what_is_brought_and_not_claimed_cannot_be_had_and_is_told(robotrain, bad):
    bad(plain_platform(), "acme")
    assert robotrain("render", *ON_PLAIN).exit_code == 2
    (row,) = [row for row in robotrain("plugins", "--json").json["plugins"] if row["claim"] == "acme"]
    assert row["remarks"] == ['it brings platform plain and does not claim it: "platform.plain"']
    assert "it brings platform plain and does not claim it" in " ".join(robotrain("plugins").stdout.split())


def test_a_kind_of_a_stranger_cannot_take_the_place_of_one_of_robotrain(robotrain, bad):
    shadow = kind().replace('"pet"', '"local_path"').replace("--pet", "--dataset-path")
    bad(plain_platform() + shadow)
    answer = robotrain("render", *ON_PLAIN, "--json")
    assert '"uri": "x"' not in answer.stdout  # as it was typed; the kind of robotrain makes it absolute
    assert answer.exit_code == 0
    rows = {row["claim"]: row for row in robotrain("plugins", "--json").json["plugins"]}
    assert any("source local_path" in remark for remark in rows["platform.plain"]["remarks"])


def test_a_platform_that_says_yes_to_a_kind_that_nobody_brings(robotrain, bad):
    bad(plain_platform().replace('KINDS = ("huggingface",', 'KINDS = ("ghost", "huggingface",'))
    rows = {row["claim"]: row for row in robotrain("plugins", "--json").json["plugins"]}
    assert rows["platform.plain"]["remarks"] == [
        "it says yes to dataset from ghost, and nothing installed brings that kind"
    ]
    assert not any(row["remarks"] for claim, row in rows.items() if claim != "platform.plain")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("capabilities = {}", "its `capabilities` is a dict; expected a robotrain.plugin.Capabilities"),
        ("settings = Settings()", "its `settings` is a Settings; expected a frozen dataclass, the class itself"),
        ("name = None", "its `name` is None; expected a text"),
    ],
)
def test_a_platform_that_declares_something_else(robotrain, bad, line, said):
    bad(plain_platform().replace("    def check(", f"    {line}\n\n    def check(", 1))
    told(robotrain("render", *ON_PLAIN), said)
    assert robotrain("render", "--platform", "local", *JOB, "--rover", "7").exit_code == 2  # asks every platform


def test_what_a_platform_lacks_and_misspells_is_told(robotrain, bad):
    source = plain_platform().replace("    def cancel(", "    def stop(").replace("    def find(", "    def seek(")
    line = "    capabilities = Capabilities(features={'multi_gpus': YES}, limits={'source': 3})\n\n"
    bad(source.replace("    def check(", f"{line}    def check(", 1))
    rows = {row["claim"]: row for row in robotrain("plugins", "--json").json["plugins"]}
    assert rows["platform.plain"]["remarks"] == [
        "it has no method find, cancel, and fails where that is needed",
        "it declares the feature multi_gpus, which robotrain has not; it has multi_gpu",
        "it declares the limit source, which robotrain has not; it has sources",
    ]


@pytest.mark.parametrize("base", ["Platform", "RunFolderPlatform"])
def test_a_platform_needs_no_method_for_what_it_declares_no(robotrain, bad, base, tmp_path):
    source = (
        plain_platform().replace("    def cancel(", "    def stop(").replace('state="succeeded"', 'state="running"')
    )
    source = source.replace("    Platform,\n", f"    {base},\n").replace(
        "PlainPlatform(Platform)", f"PlainPlatform({base})"
    )
    bad(source.replace("features={", 'features={"cancel": no("Nobody can stop a rover.", "wait for the winter"),', 1))
    (row,) = (row for row in robotrain("plugins", "--json").json["plugins"] if row["claim"] == "platform.plain")
    assert row["remarks"] == []
    run = robotrain("submit", "--platform", "plain", *JOB, "--no-pin", "--json").json["run"]
    for words, facts in {
        ("cancel", run): ("plain cannot stop a run", "Nobody can stop a rover.", "wait for the winter"),
        ("register", run, "rover"): ("plain cannot register checkpoints", "There is no model registry."),
    }.items():
        answer = robotrain(*words)
        assert (answer.exit_code, [fact for fact in facts if fact not in answer.stderr]) == (3, [])
        assert "[feature-not-there]" in answer.stderr


NO_SUPPORT = "expected a robotrain.plugin.Support, such as YES or no(…)"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("features={'multi_gpu': False}", f"its `capabilities.features['multi_gpu']` is a bool; {NO_SUPPORT}"),
        ("features={'cancel': Support('maybe')}", "is 'maybe'; expected one of yes, not_yet, no, unknown"),
        ("sources={'dataset': YES}", "its `capabilities.sources` has the key 'dataset'; expected a pair of texts"),
        ("limits={'sources': '3'}", "its `capabilities.limits['sources']` is a str; expected a whole number"),
        ("limits={'sources': 0}", "its `capabilities.limits['sources']` is 0; expected a number above 0"),
    ],
)
def test_a_platform_whose_capabilities_nobody_can_read(robotrain, bad, declared, said):
    line = f"    from robotrain.model.capabilities import Support\n    capabilities = Capabilities({declared})\n\n"
    bad(plain_platform().replace("    def check(", f"{line}    def check(", 1))
    told(robotrain("platforms"), "plain", said, code=0)
    assert robotrain("render", "--platform", "local", *JOB, "--dataset-asset", "azureml:x:1").exit_code == 3


def test_a_workload_that_makes_what_nobody_knows(robotrain, bad):
    work = "Workload(name='dig', summary='', parameters=int, roles={}, container_plugin='x', produces='holes')"
    bad(hook("robotrain_workloads", f"from robotrain.model.workload import Workload\nreturn [{work}]"), "workload.dig")
    said = "its `produces` is 'holes'; expected one of checkpoints, results, files"
    told(robotrain("render", "dig", *LOCAL[1:]), said, code=1)


DIG = """
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from robotrain.plugin import Param, Workload, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    deep: Annotated[bool, Param(help="how", requires="multi_gpus")] = False

@hook
def robotrain_workloads():
    dig = Workload(name="dig", summary="digs", parameters=Parameters, roles={}, container_plugin="x", produces="files")
    return [dig]
"""


def test_a_parameter_that_cannot_be_kept_and_one_that_nobody_takes(robotrain, bad):
    bad(DIG, "workload.dig")
    rows = {row["claim"]: row for row in robotrain("plugins", "--json").json["plugins"]}
    said = "its parameter deep needs the feature multi_gpus, which no platform has; there is multi_gpu"
    assert rows["workload.dig"]["remarks"] == [said]
    bad(DIG.replace("[bool, ", "[Path, ").replace("False", "Path('x')"), "workload.dig")
    answer = robotrain("render", "dig", "--platform", "local")
    told(answer, "its `parameters.deep` is declared as Path", "a str, with path=True, json=True or table=True")


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("'not a flag'", "has the flag 'not a flag'; expected one such as --name"),
        ("'-p'", "has the flag '-p'; expected a long one such as --name"),
        ("'--pet', aliases=('pet',)", "has the flag 'pet'; expected one such as --name"),
        ("'--pet', aliases='-p'", ".aliases` is a str; expected a tuple"),
    ],
)
def test_a_flag_that_nobody_can_type(robotrain, bad, flag, said):
    bad(kind().replace('"--pet"', flag), "source.pet")
    told(robotrain(*LOCAL), "warning: source pet (acme-plain 0.3) failed", said, code=0)


def test_a_half_that_is_not_there(robotrain, bad):
    source = kind("lambda text, base: Pet(text)").replace(
        "recognizes=", "container_plugin='pet_that_is_missing.container', recognizes="
    )
    source += "\nclass Pet(str):\n    kind = 'pet'\n"
    bad(source, "source.pet")
    answer = robotrain("render", "--platform", "local", "--pet", "rex")
    told(answer, "source pet (acme-plain 0.3) failed", "pet_that_is_missing.container")


def test_a_text_that_a_source_kind_cannot_parse_for_a_bug_of_its_own(robotrain, bad):
    bad(kind("lambda text, base: text.nope"), "source.pet")
    told(robotrain("render", "--platform", "local", "--pet", "rex"), "failed in parse: AttributeError", code=2)


def test_a_source_of_the_wrong_type(robotrain, bad):
    bad(kind("lambda text, base: text"), "source.pet")
    wrong = "failed in parse: it returned an object of the type str; expected Source"
    told(robotrain("render", "--platform", "local", "--pet", "rex"), wrong, code=2)


YIELDING_KIND = """
import re
from robotrain.plugin import RoleFlag, SourceKind, hook

class Pet(str):
    kind = "pet"

def warn(source):
    yield "it barks"

@hook
def robotrain_source_kinds():
    return [SourceKind(name="pet", title="pets", form="NAME", help="", roles={"dataset": RoleFlag("--dataset-path")},
                       recognizes=lambda text: re.match("pet-", text), parse=lambda text, base: Pet(text), warn=warn)]
"""


def test_functions_of_a_source_may_yield_and_return_any_true_value(robotrain, bad):
    bad(YIELDING_KIND, "source.pet")
    answer = robotrain("render", "--platform", "local", "--dataset-path", "pet-rex", "--json")
    assert "it barks" in answer.stderr
    assert "failed" not in answer.stderr
    assert "it barks" not in robotrain(*LOCAL).stderr


def test_steps_of_a_pipeline_may_be_yielded_beside_its_status():
    answer = Status(state="running"), iter([StepStatus(name="train", state="running")])
    _, steps = guards._require_type(answer, "tuple[Status, list[StepStatus]]")
    assert [step.name for step in steps] == ["train"]


NOISE = "print('noise on stdout')\n"


def test_what_a_plugin_prints_is_no_result(robotrain, bad):
    source = plain_platform("preflight", NOISE.replace("noise", "preflight") + "return ()")
    source = source.replace("        placement =", f"        {NOISE}        placement =")
    bad(source.replace("    return [PlainPlatform()]", "    print('noise of a hook')\n    return [PlainPlatform()]"))
    answer = robotrain("submit", *ON_PLAIN, "--json")
    assert answer.json["platform"] == "plain"
    for words in ("noise on stdout", "preflight on stdout", "noise of a hook"):
        assert words in answer.stderr


def test_a_log_may_print_between_its_lines(robotrain, bad):
    bad(plain_platform("logs", f"{NOISE}yield 'one'\n{NOISE}yield 'two'"))
    robotrain("submit", *ON_PLAIN)
    answer = robotrain("logs")
    assert answer.stdout == "one\ntwo\n"
    assert answer.stderr.count("noise") == 2


@pytest.mark.parametrize(
    ("version", "said", "way"),
    [
        ("0", "written for version 0 of the plugin API, and robotrain ", "uv pip install --upgrade acme-plain"),
        ("99", "written for version 99 of the plugin API, and robotrain ", "uv pip install --upgrade robotrain-core"),
        ("'1'", "ROBOTRAIN_API is a whole number such as ", WAY_OUT),
    ],
)
def test_a_plugin_of_another_version_of_the_api(robotrain, bad, version, said, way):
    bad(f"ROBOTRAIN_API = {version}\n{PLAIN_PLATFORM}")
    told(robotrain("render", *ON_PLAIN), said, way)
    assert robotrain(*LOCAL).exit_code == 0


def test_a_plugin_of_an_older_version_that_is_still_taken_works_and_is_told_of(robotrain, bad, monkeypatch):
    from robotrain.plugins import hookspecs

    bad(PLAIN_PLATFORM)
    monkeypatch.setattr(hookspecs, "API_VERSION", hookspecs.API_VERSION + 1)
    assert robotrain("render", *ON_PLAIN).exit_code == 0
    rows = {row["claim"]: row for row in robotrain("plugins", "--json").json["plugins"]}
    assert rows["platform.plain"]["api"] == 1
    assert "written for version 1 of the plugin API, and the newest is 2" in rows["platform.plain"]["remarks"][0]
    assert rows["platform.local"]["remarks"] == []
    monkeypatch.setattr(hookspecs, "OLDEST_API_VERSION", hookspecs.API_VERSION)
    told(robotrain("render", *ON_PLAIN), "written for version 1 of the plugin API")


def test_a_dependency_that_is_missing_is_named_as_the_plugin_requires_it(robotrain, install):
    site = install(
        "acme-plain", {"platform.plain": "acme_plain"}, version="0.3", acme_plain="import rover_sdk.motion\n"
    )
    answer = robotrain("render", *ON_PLAIN)
    told(answer, "ModuleNotFoundError: No module named 'rover_sdk'", "uv pip install rover-sdk ")
    with (site / "acme_plain-0.3.dist-info/METADATA").open("a") as file:
        file.write("Requires-Dist: rover-client>=2\nRequires-Dist: typer\nRequires-Dist: extra; extra == 'all'\n")
    told(robotrain("render", *ON_PLAIN), "uv pip install 'rover-client>=2' ")


def test_a_name_that_robotrain_has_no_longer_says_what_to_update(robotrain, bad):
    bad("from robotrain.platforms import Spaceship\n")
    told(robotrain("render", *ON_PLAIN), "uv pip install --upgrade robotrain-core acme-plain")


def test_a_command_that_goes_wrong(robotrain, bad):
    source = "import typer\napp = typer.Typer()\n\n@app.command()\ndef dig(deep: int = 1):\n    {'a': 1}['b']\n"
    bad(source, "command.dig", point="acme_plain:app")
    told(robotrain("dig"), "command dig (acme-plain 0.3) failed in `robotrain dig`: KeyError: 'b'")
    assert robotrain("dig", "--deep", "far").exit_code == 2
    bad(source.replace("{'a': 1}['b']", "raise typer.Exit(5)"), "command.dig")
    assert robotrain("dig").exit_code == 5


@pytest.mark.parametrize(
    ("claim", "point", "said"),
    [
        ("command.dig", "acme_plain", "acme_plain is a module; expected a typer.Typer"),
        ("command.dig", "acme_plain:gone", "AttributeError: module 'acme_plain' has no attribute 'gone'"),
        ("command.submit", "acme_plain:app", "robotrain itself has a command submit"),
    ],
)
def test_a_command_that_is_none(robotrain, bad, claim, point, said):
    bad("import typer\napp = typer.Typer()\n", claim, point=point)
    rows = {(row["claim"], row["distribution"]): row for row in robotrain("plugins", "--json").json["plugins"]}
    assert rows[claim, "acme-plain 0.3"]["failure"] == said
    assert robotrain("submit", "--help").exit_code == 0


def test_the_traceback_is_there_for_whoever_asks_for_it(robotrain, bad, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_TRACEBACK", "1")
    bad(plain_platform("render", "raise KeyError('https://plain/?sig=c2VjcmV0')"))
    answer = robotrain("render", *ON_PLAIN)
    assert "Traceback (most recent call last):" in answer.stderr
    assert "acme_plain.py" in answer.stderr
    assert "c2VjcmV0" not in answer.stderr


SETTING = "    platform: Annotated[str, Param(help='x')] = ''\n"


def test_a_setting_whose_flag_is_one_of_robotrain(robotrain, bad):
    bad(plain_platform().replace("    replicas: Annotated", f"{SETTING}    replicas: Annotated"))
    answer = robotrain("render", *ON_PLAIN)
    assert answer.exit_code == 2
    assert "robotrain and platform plain both have an option --platform" in answer.stderr
    assert "platform plain comes from acme-plain 0.3." in answer.stderr
    assert WAY_OUT in answer.stderr
    assert robotrain(*LOCAL).exit_code == 0


@pytest.mark.parametrize(
    "say",
    [
        lambda: print("noise"),
        lambda: sys.stdout.writelines(["noise\n"]),
        lambda: sys.stdout.buffer.write(b"noise\n"),
    ],
)
def test_a_call_that_was_given_up_prints_no_result_later(capsys, monkeypatch, say):
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    go_on, printed = threading.Event(), threading.Event()

    def call() -> None:
        go_on.wait(60)
        say()
        printed.set()

    with calls.redirect_output():
        [(_, error)] = calls.call_all_with_timeout([call], 0.01)
    assert isinstance(error, calls.PluginTimeout)
    go_on.set()
    assert printed.wait(60)
    print("result")
    assert capsys.readouterr() == ("result\n", "noise\n")
