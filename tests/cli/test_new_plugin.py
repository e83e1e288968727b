"""`robotrain plugins new`: what it writes works as it is, and whoever keeps it can read it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib
from problem_assertions import check_shown

RULES = "E,F,I,B,UP,SIM,PT,RUF,D1"
NOT_HELD = "D105,D107,RUF001,RUF012"
LONG = "a-name-of-thirty-letters-abcde"
KITS = {
    "platform": "my-cluster",
    "platform --remote": "ssh-box",
    "platform --scheduler": "my-lsf",
    "source": "lab-set",
    "workload": "hello",
}
BRINGS = {
    "platform": "platform.my-cluster",
    "platform --remote": "platform.ssh-box",
    "platform --scheduler": "platform.my-lsf",
    "source": "source.lab_set",
    "workload": "workload.hello",
}

PACKAGES = ("robotrain_my_cluster", "robotrain_ssh_box", "robotrain_my_lsf", "robotrain_lab_set", "robotrain_hello")


@pytest.fixture(autouse=True)
def not_imported():
    """What a test imports of a new package is not there for the next."""
    yield
    for name in [name for name in sys.modules if name.startswith(PACKAGES)]:
        del sys.modules[name]


def write(robotrain, family: str, name: str) -> Path:
    answer = robotrain("plugins", "new", *family.split(), name, "--json")
    assert answer.exit_code == 0, answer.stderr
    return Path(answer.json["folder"])


def install(package: Path) -> None:
    """Write the metadata that an installer makes of the project file; the package is on the path as it lies there."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    information = package / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir()
    needs = "".join(f"Requires-Dist: {one}\n" for one in project["dependencies"])
    heads = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (information / "METADATA").write_text(heads + needs)
    points = project["entry-points"]["robotrain"].items()
    (information / "entry_points.txt").write_text(
        "[robotrain]\n" + "".join(f"{name} = {value}\n" for name, value in points)
    )


def run_package_tests(package: Path, *options: str) -> str:
    install(package)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", *options],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("family", KITS)
def test_the_package_claims_its_name_and_loads(robotrain, monkeypatch, family):
    package = write(robotrain, family, KITS[family])
    install(package)
    monkeypatch.syspath_prepend(package)
    rows = {row["claim"]: row for row in robotrain("plugins", "--json").json["plugins"]}
    row = rows[BRINGS[family]]
    assert (row["failure"], row["remarks"], row["distribution"]) == (None, [], f"{package.name} 0.1.0")


@pytest.mark.parametrize("name", ["my-cluster", LONG])
@pytest.mark.parametrize("family", KITS)
def test_the_package_is_formatted_and_linted(robotrain, family, name):
    package = write(robotrain, family, name)
    ruff = [sys.executable, "-m", "ruff"]
    rules = ("--select", RULES, "--ignore", NOT_HELD, "--per-file-ignores", "tests/**:D1", "--target-version", "py311")
    for words in (("check", *rules), ("format", "--diff")):
        line = [*ruff, *words, "--isolated", "--no-cache", "--line-length", "120", "."]
        done = subprocess.run(line, cwd=package, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    texts = [path.read_text() for path in package.rglob("*") if path.is_file()]
    assert not any("NotImplementedError" in text or re.search(r"\$\{?[a-z]", text) for text in texts)


@pytest.mark.slow
def test_the_packages_are_typed(robotrain):
    for family, name in KITS.items():
        write(robotrain, family, name)
    line = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "."]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("family", [pytest.param(one, marks=[pytest.mark.long] * ("platform" in one)) for one in KITS])
def test_the_package_passes_the_whole_kit_at_once(robotrain, family):
    result = run_package_tests(write(robotrain, family, KITS[family]))
    assert " passed" in result


def test_a_job_of_the_new_workload_becomes_a_plan_of_the_new_platform(robotrain, monkeypatch):
    for family in ("platform", "workload"):
        install(package := write(robotrain, family, KITS[family]))
        monkeypatch.syspath_prepend(package)
    answer = robotrain("render", "hello", "--platform", "my-cluster", "--times", "4", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert '"times": 4' in answer.json["files"]["job.json"]["text"]


@pytest.mark.slow
def test_a_job_of_the_new_workload_runs_on_the_new_platform(robotrain, monkeypatch, tmp_path):
    for family in ("platform", "workload"):
        install(package := write(robotrain, family, KITS[family]))
        monkeypatch.syspath_prepend(package)
    answer = robotrain("submit", "hello", "--platform", "my-cluster", "--folder", tmp_path / "runs", "--wait", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["state"], answer.json["step"], answer.json["total"]) == ("succeeded", 3, 3)


def test_files_that_exist_are_not_replaced(robotrain):
    package = write(robotrain, "platform", "my-cluster")
    (package / "README.md").write_text("mine")
    robotrain("plugins", "new", "platform", "my-cluster").check_problems(2, "file-in-use")
    assert (package / "README.md").read_text() == "mine"
    assert robotrain("plugins", "new", "platform", "my-cluster", "--to", "elsewhere").exit_code == 0
    assert Path("elsewhere/robotrain_my_cluster/platform.py").is_file()


@pytest.mark.parametrize("name", ["json", "over", "timeout", "runs-dir", "dataset"])
def test_source_with_the_flag_of_another_is_rejected(robotrain, name):
    robotrain("plugins", "new", "source", name).check_problems(2, "plugin-name-taken")
    assert not Path(f"robotrain-{name}").exists()
    assert robotrain("plugins", "new", "workload", name, "--to", "there").exit_code == 0


@pytest.mark.parametrize(
    ("family", "name", "code"),
    [
        *(
            ("platform", name, "value-invalid")
            for name in ("My-cluster", "9my-cluster", "my-cluster-", "../my-cluster", "m" * 31, "")
        ),
        ("platform", "local", "plugin-name-taken"),
        ("source", "blob-url", "plugin-name-taken"),
        ("workload", "lerobot-train", "plugin-name-taken"),
        ("platform", "core", "plugin-name-taken"),
    ],
)
def test_malformed_name_and_that_of_an_installed_plugin_are_rejected(robotrain, family, name, code):
    robotrain("plugins", "new", family, "--", name).check_problems(2, code)
    assert list(Path.cwd().iterdir()) == []


def test_written_files_are_reported_as_text_and_json(robotrain):
    Path("empty").mkdir()
    answer = robotrain("plugins", "new", "source", "lab-set", "--to", "empty")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "cd empty && " in answer.stderr
    check_shown(answer.stderr)
    result = robotrain("plugins", "new", "workload", "hello", "--json").json
    assert {"claim", "distribution", "folder", "files", "next"} <= set(result)
    assert (result["claim"], result["distribution"]) == ("workload.hello", "robotrain-hello")
    assert all(Path(path).is_file() for path in result["files"])


def test_folder_that_cannot_be_created_is_an_error(robotrain):
    Path("file").touch()
    answer = robotrain("plugins", "new", "platform", "my-cluster", "--to", "file/my-cluster")
    assert (answer.exit_code, "Traceback" in answer.stderr) == (1, False), answer.stderr


def test_only_a_platform_can_be_remote(robotrain):
    answer = robotrain("plugins", "new", "workload", "hello", "--remote")
    answer.check_problems(2, "option-elsewhere")


def test_suggested_command_installs_beside_this_robotrain(robotrain):
    """It names the interpreter: outside of a clone no environment may be active, and robotrain is on no index."""
    line = robotrain("plugins", "new", "workload", "hello", "--json").json["next"]
    python = f"{sys.prefix}/bin/python"
    assert line.startswith("cd robotrain-hello && ")
    assert line.endswith(f" -e '.[test]' && {python} -m pytest")
    assert line.count(python) == 2
