"""Plugins that fail: a sentence names the plugin, the method and a way to continue, and other plugins go on."""

import sys
from pathlib import Path

import pytest
from plugin_sources import PLATFORM, declare, make_hook, make_platform, make_source_kind
from robotrain.plugins import failures
from robotrain.plugins.manager import Plugins

JOB = ("--dataset-path", "x")
ON_PLAIN = ("--platform", "plain", *JOB)
ON_LOCAL = ("render", "--platform", "local", *JOB)
PRINT = "print('noise on stdout')\n"


@pytest.fixture
def install_source(install):
    """Install a source as `acme-plain 0.3`; when called again, replace it, as if the plugin had been changed.

    module: another name for a source that hangs, because importing it again would wait for the first import.
    """
    sites: list[Path] = []

    def install_source(source: str, claim: str = "platform.plain", module: str = "acme_plain", point: str = "") -> None:
        if not sites:
            sites.append(install("acme-plain", {claim: point or module}, version="0.3", **{module: source}))
        (sites[0] / f"{module}.py").write_text(source)
        sys.modules.pop(module, None)

    return install_source


def check_failure(answer, *problems: str, code: int = 1) -> None:
    """Check the exit code and the problems, which are reported without a traceback."""
    answer.check_problems(code, *(problems or ["plugin-failed"]))
    assert "(acme-plain 0.3)" in answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout


RAISE, EXIT = "raise KeyError('team')", "sys.exit(7)"
CANCELLED = "import asyncio\nraise asyncio.CancelledError('out of time')\n"
PLAN = "return Plan(platform='plain', run=run, job=job, spec='a', files={})"
FAILURES = [
    ("render", "check", RAISE),
    ("render", "check", CANCELLED),
    ("render", "render", EXIT),
    ("render", "render", PLAN),
    ("status", "status", RAISE),
    ("status", "status", "return Status(state='fine')"),
    ("logs", "logs", "yield 1 / 0"),
    ("outputs", "outputs", "yield 1 / 0"),
]


@pytest.mark.parametrize(("command", "method", "body"), FAILURES)
def test_method_that_fails(robotrain, install_source, command, method, body):
    words = ON_PLAIN if command in ("render", "submit") else ()
    if not words:
        install_source(make_platform(state="running"))
        robotrain("submit", *ON_PLAIN)
    install_source(make_platform(method, body, state="running"))
    answer = robotrain(command, *words)
    check_failure(answer)
    assert robotrain(*ON_LOCAL).exit_code == 0


def test_preflight_that_fails(robotrain, install_source):
    install_source(make_platform("preflight", RAISE))
    check_failure(robotrain("submit", *ON_PLAIN))


@pytest.mark.parametrize("body", [EXIT, "return 'job 7'"])
def test_submit_that_fails_may_have_sent_the_run(robotrain, install_source, body):
    install_source(make_platform("submit", body))
    answer = robotrain("submit", *ON_PLAIN)
    answer.check_problems(1, "submit-unsure")
    assert "Traceback" not in answer.stderr


FULL = "raise OSError('the disk is full')"
REJECT = """from robotrain.plugin import Problem, Rejected, Stage
raise Rejected([Problem(code='full', stage=Stage.SUBMIT, title='the disk is full')])"""


@pytest.mark.parametrize(("method", "body"), [("preflight", FULL), ("status", FULL), ("status", REJECT)])
def test_os_errors_and_rejections_of_a_method_are_not_failures_of_its_plugin(robotrain, install_source, method, body):
    install_source(make_platform(state="running"))
    robotrain("submit", *ON_PLAIN)
    install_source(make_platform(method, body, state="running"))
    answer = robotrain("submit", "--new", *ON_PLAIN) if method == "preflight" else robotrain("status")
    assert answer.exit_code != 0
    assert "the disk is full" in answer.stderr
    assert "failed in" not in answer.stderr


def test_plan_is_not_sent_twice_after_a_failed_submit(robotrain, install_source, tmp_path):
    count = f"with open({str(tmp_path / 'sent')!r}, 'a') as file:\n    file.write('x')\n"
    install_source(make_platform("submit", count + "raise KeyError('id')"))
    robotrain("submit", *ON_PLAIN).check_problems(1, "submit-unsure")
    install_source(make_platform("find", "return {'id': 'm-1'}"))
    assert robotrain("submit", *ON_PLAIN).exit_code == 0
    assert (tmp_path / "sent").read_text() == "x"


IMPORTS = [
    ("1/0", "ZeroDivisionError"),
    ("def f(:", "SyntaxError"),
    ("raise SystemExit(3)", "SystemExit"),
    ("raise OSError('no answer from https://cluster/?sig=c2VjcmV0')", "OSError"),
]


def test_engine_that_does_not_load(robotrain, install_source):
    """It is loaded at the first act: declared help works, and other platforms are asked all the same."""
    install_source(PLATFORM.replace("engine_class=PlainEngine", 'engine_class="nosuch_engine:PlainEngine"'))
    answer = robotrain("render", *ON_PLAIN)
    answer.check_problems(1, "plugin-failed")
    assert "nosuch_engine:PlainEngine" in answer.stderr
    assert "robotrain --without platform.plain" in answer.stderr
    assert robotrain("submit", "--platform", "plain", "--help").exit_code == 0
    assert robotrain(*ON_LOCAL).exit_code == 0
    checks = {check["name"]: check for check in robotrain("doctor", "--json").json["checks"]}
    assert "nosuch_engine" in str(checks["plugins"]["findings"])


@pytest.mark.parametrize(("source", "reason"), IMPORTS)
def test_module_that_does_not_load(robotrain, install_source, source, reason):
    install_source(source)
    answer = robotrain("render", *ON_PLAIN)
    check_failure(answer, "plugin-not-loaded --platform plain")
    listed = robotrain("plugins")
    assert reason in listed.stdout
    assert "c2VjcmV0" not in answer.stderr + listed.stdout + listed.stderr
    assert robotrain(*ON_LOCAL).exit_code == 0


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("robotrain_platforms", "platform.plain"),
        ("robotrain_source_kinds", "source.pet"),
        ("robotrain_workloads", "workload.dig"),
    ],
)
@pytest.mark.parametrize("body", [RAISE, "return []"])
def test_hook_that_fails_or_does_not_provide_the_name(robotrain, install_source, name, claim, body):
    install_source(make_hook(name, body), claim)
    check_failure(robotrain("plugins"), code=0)
    assert robotrain(*ON_LOCAL).exit_code == 0


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        (make_hook("robotrain_health", RAISE), "acme"),
        (declare(f"def list_checks(self, plan):\n        {RAISE}"), "platform.plain"),
    ],
)
def test_checks_of_doctor_that_fail(robotrain, install_source, source, claim):
    install_source(source, claim)
    check_failure(robotrain("doctor"))
    assert robotrain(*ON_LOCAL).exit_code == 0


@pytest.mark.parametrize(("hook", "code"), [("robotrain_check", 1), ("robotrain_run_changed", 0)])
def test_rule_that_fails_ends_the_submit_and_a_notification_does_not(robotrain, install, plain_platform, hook, code):
    install("acme-plain", {"acme": "acme_site"}, version="0.3", acme_site=make_hook(hook, RAISE))
    check_failure(robotrain("submit", *ON_PLAIN), code=code)
    assert "acme-plain" not in robotrain("--without", "acme", "submit", "--new", *ON_PLAIN).stderr


PET = "lambda text, base: Pet(text)"
SOURCE_FAILURES = [
    {"parse": "lambda text, base: text.nope"},
    {"parse": PET, "warn": "lambda source: 1 / 0"},
    {"parse": PET, "recognizes": "lambda text: 1 / 0"},
    {"parse": PET, "container_plugin": "'pet_that_is_missing.container'"},
]


@pytest.mark.parametrize("declared", SOURCE_FAILURES)
def test_function_of_a_source_kind_that_fails(robotrain, install_source, declared):
    declared = {"container_plugin": "'robotrain_sources.local_path.container'", **declared}
    install_source(make_source_kind(**declared) + "\nclass Pet(str):\n    kind = 'pet'\n", "source.pet")
    check_failure(robotrain("render", "--platform", "local", "--pet", "rex"))


YIELDING_KIND = """
import re

class Pet(str):
    kind = "pet"

def warn(source):
    yield "it barks"
"""


def test_functions_of_a_source_kind_may_yield_and_return_any_true_value(robotrain, install_source):
    source = make_source_kind(
        "lambda text, base: Pet(text)",
        flag='"--dataset-path"',
        recognizes="lambda text: re.match('pet-', text)",
        warn="warn",
    )
    install_source(YIELDING_KIND + source, "source.pet")
    answer = robotrain("render", "--platform", "local", "--dataset-path", "pet-rex", "--json")
    assert "it barks" in answer.stderr
    assert "failed" not in answer.stderr
    assert "it barks" not in robotrain(*ON_LOCAL).stderr


def test_what_a_plugin_prints_goes_to_stderr(robotrain, install_source):
    source = make_platform("preflight", PRINT.replace("noise", "preflight") + "return ()")
    source = source.replace("        placement =", f"        {PRINT}        placement =")
    install_source(source.replace("    return [PLAIN]", "    print('noise of a hook')\n    return [PLAIN]"))
    answer = robotrain("submit", *ON_PLAIN, "--json")
    assert answer.json["platform"] == "plain"
    for words in ("noise on stdout", "preflight on stdout", "noise of a hook"):
        assert words in answer.stderr


def test_what_is_printed_between_lines_of_a_log_goes_to_stderr(robotrain, install_source):
    install_source(make_platform("logs", f"{PRINT}yield 'one'\n{PRINT}yield 'two'"))
    robotrain("submit", *ON_PLAIN)
    answer = robotrain("logs")
    assert answer.stdout == "one\ntwo\n"
    assert answer.stderr.count("noise") == 2


@pytest.mark.parametrize(
    ("source", "requirements"),
    [
        ("import rover_sdk.motion", ""),
        ("import rover_sdk.motion", "rover-client>=2, typer, extra; extra == 'all'"),
        ("from robotrain.platforms import Spaceship", ""),
    ],
    ids=["named like the module", "as the plugin requires it", "a name that robotrain removed"],
)
def test_import_error_suggests_what_to_install(robotrain, install, source, requirements):
    site = install("acme-plain", {"platform.plain": "acme_plain"}, version="0.3", acme_plain=source)
    with (site / "acme_plain-0.3.dist-info/METADATA").open("a") as file:
        file.writelines(f"Requires-Dist: {requirement}\n" for requirement in filter(None, requirements.split(", ")))
    check_failure(robotrain("render", *ON_PLAIN), "plugin-not-loaded --platform plain")


DIGGER = """
import json

def dig(text):
    return _parse(text)

def _parse(text):
    return json.loads(text)["depth"]
"""


@pytest.mark.parametrize(("text", "cause"), [("{}", KeyError), ("{", ValueError)])
def test_culprit_is_the_plugin_whose_code_or_call_raised(install, text, cause):
    install("acme-dig", {"platform.dig": "acme_dig.engine.api", "source.ore": "acme_dig.ore"}, acme_dig=DIGGER)
    import acme_dig

    claims = Plugins().claims
    with pytest.raises(cause) as raised:
        acme_dig.dig(text)
    culprit = failures.find_culprit(claims, raised.value)
    assert (culprit.claim.package, culprit.hook) == ("acme-dig", "dig")
    with pytest.raises(KeyError) as raised:
        {}["depth"]
    assert failures.find_culprit(claims, raised.value) is None


def test_culprit_is_named_by_the_claim_nearest_to_its_module():
    with pytest.raises(ZeroDivisionError) as raised:
        exec("1 / 0", {"__name__": "robotrain_sources.huggingface.pin"})
    assert str(failures.find_culprit(Plugins().claims, raised.value).claim) == "source huggingface"


def test_command_that_fails(robotrain, install_source):
    source = "import typer\napp = typer.Typer()\n\n@app.command()\ndef dig(deep: int = 1):\n    {'a': 1}['b']\n"
    install_source(source, "command.dig", point="acme_plain:app")
    check_failure(robotrain("dig"))
    assert robotrain("dig", "--deep", "far").exit_code == 2
    install_source(source.replace("{'a': 1}['b']", "raise typer.Exit(5)"), "command.dig")
    assert robotrain("dig").exit_code == 5


@pytest.mark.parametrize(
    ("claim", "point", "reason"),
    [
        ("command.dig", "acme_plain:gone", "AttributeError: module 'acme_plain' has no attribute 'gone'"),
        ("command.submit", "acme_plain:app", "robotrain itself has a command submit"),
    ],
)
def test_command_that_is_not_usable(robotrain, install_source, claim, point, reason):
    install_source("import typer\napp = typer.Typer()\n", claim, point=point)
    rows = {(row["claim"], row["distribution"]): row for row in robotrain("plugins", "--json").json["plugins"]}
    assert rows[claim, "acme-plain 0.3"]["failure"] == reason
    assert robotrain("submit", "--help").exit_code == 0


def test_traceback_variable_shows_the_traceback_without_secrets(robotrain, install_source, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_TRACEBACK", "1")
    install_source(make_platform("render", "raise KeyError('https://cluster/?sig=c2VjcmV0')"))
    answer = robotrain("render", *ON_PLAIN)
    assert "Traceback (most recent call last):" in answer.stderr
    assert "acme_plain.py" in answer.stderr
    assert "c2VjcmV0" not in answer.stderr


def test_setting_with_a_flag_of_robotrain(robotrain, install_source):
    setting = "    platform: Annotated[str, Param(help='x')] = ''\n"
    install_source(PLATFORM.replace("    replicas: Annotated", f"{setting}    replicas: Annotated"))
    answer = robotrain("render", *ON_PLAIN)
    answer.check_problems(2, "names-clash --platform", "names-clash ROBOTRAIN_PLATFORM")
    assert robotrain(*ON_LOCAL).exit_code == 0
