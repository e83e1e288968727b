"""The documents: their links lead somewhere, and the code they show works."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert (document.parent / link).exists(), link


OF_THE_GUIDE = ("robotrain_hello", "robotrain_sets", "robotrain_best")
GUIDE = (ROOT / "docs/plugins.md").read_text()


@pytest.fixture
def of_the_guide(tmp_path, monkeypatch):
    """Install a package that the plugin guide shows file by file; its folder."""

    def put(package: str, claim: str, module: str, **changes: str) -> Path:
        folder = tmp_path / "site" / package
        folder.mkdir(parents=True)
        for name, code in re.findall(rf"```python\n# {package}/(\w+\.py)[^\n]*\n(.*?)```", GUIDE, re.DOTALL):
            for before, after in changes.items():
                code = code.replace(before, after)
            (folder / name).write_text(code)
        (folder / "__init__.py").write_text("")
        info = tmp_path / f"site/{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[robotrain]\n{claim} = {package}.{module}\n")
        monkeypatch.syspath_prepend(tmp_path / "site")
        return folder

    yield put
    for name in [
        name for name in sys.modules if name.startswith(("robotrain_hello", "robotrain_sets", "robotrain_best"))
    ]:
        del sys.modules[name]


def test_the_workload_of_the_plugin_guide_runs(robotrain, of_the_guide):
    (of_the_guide("robotrain_hello", "workload.hello", "workload") / "lock.txt").write_text("")
    options = ("--platform", "local", "--environment", sys.prefix, "--times", "4")
    answer = robotrain("submit", "hello", *options, "--wait", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["state"], answer.json["step"], answer.json["total"]) == ("succeeded", 4, 4)


def test_the_rule_of_the_plugin_guide_rules(robotrain, install):
    (rule,) = re.findall(
        r"A rule of a site, whole:\n\n```python\n(.*?)```", (ROOT / "docs/plugins.md").read_text(), re.DOTALL
    )
    install("acme", {"acme": "acme_rule"}, acme_rule=rule)
    answer = robotrain("render", "--platform", "local", "--dataset-path", "x", "--batch-size", "101")
    assert answer.exit_code == 3
    assert "acme-batch" in answer.stderr


def test_the_health_check_of_the_plugin_guide_is_a_finding_of_the_doctor(robotrain, install):
    guide = (ROOT / "docs/plugins.md").read_text()
    (source,) = re.findall(r"`robotrain doctor` to look at:\n\n```python\n(.*?)```", guide, re.DOTALL)
    install("acme", {"acme": "acme_health"}, acme_health=source.replace("/mnt/episodes", "/nowhere/episodes"))
    answer = robotrain("doctor", "--json")
    assert answer.exit_code == 4
    (check,) = [check for check in answer.json["checks"] if check["name"] == "episodes"]
    assert check["by"] == "acme 1.0"
    assert check["findings"][0]["says"] == "/nowhere/episodes is not mounted"


def test_the_source_kind_of_the_plugin_guide_is_taken_checked_and_looked_for(robotrain, of_the_guide, tmp_path):
    of_the_guide("robotrain_sets", "source.lab_set", "kind", **{"/srv/sets": str(tmp_path / "sets")})
    local = ("--platform", "local", "--environment", sys.prefix)
    wrong = robotrain("render", *local, "--lab-set", "pusht")
    assert (wrong.exit_code, "use   --lab-set pusht@3" in wrong.stderr) == (2, True)
    lost = robotrain("submit", *local, "--lab-set", "pusht@3")
    assert (lost.exit_code, f"use   mount {tmp_path / 'sets'}" in lost.stderr) == (4, True), lost.stderr
    found = robotrain("render", "--platform", "local", "--lab-set", "pusht@3", "--json")
    assert found.exit_code == 0


def test_the_command_of_the_plugin_guide_is_a_command(robotrain, of_the_guide):
    of_the_guide("robotrain_best", "command.best", "command:app")
    answer = robotrain("best", "--newest", "5")
    assert (answer.exit_code, answer.stdout) == (0, "")


def test_the_plugin_file_of_the_plugin_guide_rules_and_greets(robotrain, tmp_path):
    (tmp_path / "tools").mkdir()
    (code,) = re.findall(r"```python\n# robotrain_plugin.py\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "tools/robotrain_plugin.py").write_text(code)
    named = ("--plugins-from", tmp_path / "tools")
    assert robotrain(*named, "greet").stdout == "hello, lab\n"
    render = ("render", "--platform", "local", "--dataset-path", "x", "--batch-size", "512")
    told = robotrain(*named, *render)
    assert (told.exit_code, "use   --batch-size 256" in told.stderr) == (3, True)
    assert robotrain(*render).exit_code == 0


def test_every_feature_is_explained_to_who_declares_it():
    from robotrain.capabilities import FEATURES, LIMITS

    page = (ROOT / "docs/plugin-support.md").read_text()
    assert set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE)) == set(FEATURES)
    assert all(f"`{limit}`" in page.partition("## Limits")[2] for limit in LIMITS)


def test_every_command_of_help_is_in_the_readme_and_the_other_way_round():
    from robotrain.cli.app import COMMANDS

    shown = set(re.findall(r"robotrain ([a-z]+)", (ROOT / "README.md").read_text()))
    assert set(COMMANDS) <= shown
