"""A plugin that is one file: found only in the folder that somebody names, with the rights of an installed one."""

import sys
import zipfile
from pathlib import Path

import pytest
from plugin_sources import PLATFORM, make_source_kind, make_workload

JOB = ("--dataset-path", "x")
SITE = """
from robotrain.errors import Problem, Stage
from robotrain.model.health import Check, report_ok

@hook
def robotrain_check(job, platform):
    if job["batch_size"] > 100:
        yield Problem(code="acme-batch", stage=Stage.CHECK, title="batches stay below 100")

@hook
def robotrain_run_changed(run, change):
    import pathlib
    pathlib.Path("notified.txt").write_text(f"{run.run} {change}")

@hook
def robotrain_health():
    return [Check(name="drill", run=lambda: [report_ok("it is sharp")])]
"""
COMMAND = '''
import typer
app = typer.Typer()

@app.command()
def dig(deep: int = 2):
    """Dig."""
    print("dug", deep)

commands = {"dig": app}
'''
RUNS = """
@app.command()
def go():
    import robotrain
    print(robotrain.submit(platform="plain", dataset_path="x").status().state)
    for run in robotrain.runs():
        print(run.wait().state)
"""
WORKLOAD = make_workload("dig", 'times: Annotated[int, Param(help="how often")] = 3', container_plugin='"MODULE_NAME"')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write files into a folder of one's own, the plugin file among them; what is imported from it is forgotten."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = {*sys.modules}

    def folder(source: str, **files: str) -> Path:
        place = tmp_path / "tools"
        for name, text in {"robotrain_plugin.py": source, **files}.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return place

    yield folder
    for name in {*sys.modules} - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_platform_works_from_submit_to_status(robotrain, folder):
    place = folder(PLATFORM)
    sent = robotrain("--plugins-from", place, "submit", "--platform", "plain", *JOB)
    assert sent.exit_code == 0
    assert "succeeded" in robotrain("--plugins-from", place, "status").stdout
    robotrain("status").check_problems(2, "plugin-failed")


def test_environment_variable_names_the_folder(robotrain, folder, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLUGINS_FROM", str(folder(PLATFORM)))
    assert robotrain("render", "--platform", "plain", *JOB).exit_code == 0
    from robotrain import api

    assert api.submit(platform="plain", dataset_path="x").status().state == "succeeded"


def test_claims_are_listed_with_the_file_as_their_distribution(robotrain, folder):
    place = folder(PLATFORM + SITE + COMMAND)
    rows = robotrain("--plugins-from", place, "plugins", "--json").json["plugins"]
    brought = {row["claim"]: row["failure"] for row in rows if row["distribution"] == f"{place}/robotrain_plugin.py"}
    assert brought == {"platform.plain": None, "command.dig": None, "robotrain_plugin": None}
    assert "robotrain_plugin" not in robotrain("plugins").stdout


def test_rules_notifications_checks_and_commands_work(robotrain, folder):
    place = folder(PLATFORM + SITE + COMMAND)
    run = ("--plugins-from", place, "submit", "--platform", "plain", *JOB)
    assert "acme-batch" in robotrain(*run, "--batch-size", "101").stderr
    assert robotrain(*run).exit_code == 0
    assert Path("notified.txt").read_text().endswith(" sent")
    assert "it is sharp" in robotrain("--plugins-from", place, "doctor").stdout
    assert robotrain("--plugins-from", place, "dig", "--deep", "7").stdout == "dug 7\n"


def test_python_calls_of_a_command_use_the_file_which_runs_once(robotrain, folder):
    counted = "with open('ran', 'a') as ran:\n    ran.write('once')\n"
    place = folder(counted + PLATFORM + COMMAND + RUNS)
    answer = robotrain("--plugins-from", place, "dig", "go")
    assert (answer.exit_code, answer.stdout) == (0, "succeeded\nsucceeded\n"), answer.stderr
    assert Path("ran").read_text() == "once"


def test_source_kind_works(robotrain, folder):
    source = (
        make_source_kind("Pet").replace("recognizes=", "container_plugin='petting', recognizes=")
        + "\nclass Pet(str):\n    kind = 'pet'\n    def __new__(cls, text, base):\n"
    )
    place = folder(source + "        return super().__new__(cls, text)\n")
    answer = robotrain("--plugins-from", place, "explain", "--platform", "local", "--pet", "rex")
    assert answer.exit_code == 0
    assert "rex" in answer.stdout
    assert robotrain("explain", "--platform", "local", "--pet", "rex").exit_code == 2


PAYLOADS = {
    "a module": ({"digger.py": "import json\n"}, ("soil.py", "keys.json")),
    "a whole package": ({"mine/__init__.py": "", "mine/container.py": "", "mine/lock.txt": "x==1\n"}, ("soil.py",)),
}


@pytest.mark.parametrize(("packed", "others"), PAYLOADS.values(), ids=PAYLOADS)
def test_container_plugin_beside_the_file_is_packed(robotrain, folder, packed, others):
    module = "digger" if "digger.py" in packed else "mine.container"
    place = folder(WORKLOAD.replace("MODULE_NAME", module), **packed, **dict.fromkeys(others, ""))
    answer = robotrain("--plugins-from", place, "render", "dig", "--platform", "local", "--to", "plan")
    assert answer.exit_code == 0, answer.stderr
    names = {*zipfile.ZipFile("plan/payload.zip").namelist()}
    assert names >= {*packed}
    assert not names & {"robotrain_plugin.py", *others}


@pytest.mark.parametrize("module", ["digger", "mine.container"])
def test_missing_container_module_is_looked_for_beside_the_file(robotrain, folder, module):
    at = folder(WORKLOAD.replace("MODULE_NAME", module))
    robotrain("--plugins-from", at, "render", "dig", "--platform", "local").check_problems(1, "plugin-failed")


def test_file_in_the_working_folder_is_not_loaded(robotrain, folder, monkeypatch):
    place = folder(PLATFORM)
    monkeypatch.chdir(place)
    assert robotrain("render", "--platform", "plain", *JOB).exit_code == 2
    below = place / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert "plain" not in robotrain("plugins").stdout


def test_files_of_a_repository_do_not_load_it(robotrain, folder, monkeypatch):
    """A clone may hold any of these; none of them may make its code run."""
    place = folder(f"import pathlib\npathlib.Path({str(Path.cwd() / 'ran')!r}).touch()\n{PLATFORM}")
    Path(".env").write_text(f"ROBOTRAIN_PLUGINS_FROM={place}\nPLUGINS_FROM={place}\n")
    Path("job.yaml").write_text("workload: lerobot-train\nsources:\n  dataset:\n    - local_path: x\n")
    render = ("render", "--platform", "local")
    assert robotrain(*render, *JOB).exit_code == 0
    Path("robotrain.toml").write_text(f'plugins_from = "{place}"\n')
    robotrain(*render, *JOB)
    Path("job.yaml").write_text(f"workload: lerobot-train\nplugins_from: {place}\n")
    robotrain(*render, "job.yaml")
    assert not Path("ran").exists()


def test_name_of_an_installed_plugin_is_rejected(robotrain, folder, plain_platform):
    place = folder(PLATFORM)
    answer = robotrain("--plugins-from", place, "render", "--platform", "plain", *JOB)
    answer.check_problems(1, "plugin-not-loaded --platform plain")
    without = ("--without", "robotrain-plain", "--plugins-from", place)
    assert robotrain(*without, "render", "--platform", "plain", *JOB).exit_code == 0


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("x = 1\ndef f(:\n", ":2"),
        ("x = 1\n\nx = x / 0\n", ":3"),
        ("import rover_sdk\n", ":1"),
        ("from robotrain.plugin import hook\n@hook\ndef robotrain_platforms():\n    raise KeyError('a')\n", ":4"),
        ("raise SystemExit(3)\n", ":1"),
        ("commands = ['dig']\n", ""),
    ],
)
def test_error_in_the_file_is_reported_with_its_line(robotrain, folder, source, line):
    place = folder(source)
    answer = robotrain("--plugins-from", place, "render", "--platform", "local", *JOB)
    answer.check_problems(1, f"plugin-failed --plugins-from {place}/robotrain_plugin.py{line}")


@pytest.mark.parametrize("name", ["tools", "gone", "tools/file"])
def test_folder_without_a_plugin_file(robotrain, tmp_path, name):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/file").touch()
    answer = robotrain("--plugins-from", tmp_path / name, "render", "--platform", "local", *JOB)
    answer.check_problems(2, f"plugin-file-unusable --plugins-from {tmp_path / name}")


def test_file_without_hooks_and_commands(robotrain, folder):
    answer = robotrain("--plugins-from", folder("x = 1\n"), "render", "--platform", "local", *JOB)
    answer.check_problems(2, "plugin-file-unusable --plugins-from")


def test_what_the_file_prints_goes_to_stderr(robotrain, folder):
    place = folder("print('noise')\n" + PLATFORM)
    answer = robotrain("--plugins-from", place, "render", "--platform", "plain", *JOB, "--json")
    assert answer.json["platform"] == "plain"
    assert "noise" in answer.stderr


def test_no_plugins_ignores_the_file(robotrain, folder, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLUGINS_FROM", str(folder("1/0")))
    assert robotrain("--no-plugins", "render", "--platform", "local", *JOB).exit_code == 0
