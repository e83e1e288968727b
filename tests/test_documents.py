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


def test_the_workload_of_the_plugin_guide_runs(robotrain, tmp_path, monkeypatch):
    guide = (ROOT / "docs/plugins.md").read_text()
    package = tmp_path / "site/robotrain_hello"
    package.mkdir(parents=True)
    for name, code in re.findall(r"```python\n# robotrain_hello/(\w+\.py)[^\n]*\n(.*?)```", guide, re.DOTALL):
        (package / name).write_text(code)
    (package / "__init__.py").write_text("")
    (package / "lock.txt").write_text("")
    info = tmp_path / "site/robotrain_hello-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: robotrain-hello\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[robotrain]\nworkload.hello = robotrain_hello.workload\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
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


def test_every_command_of_help_is_in_the_readme_and_the_other_way_round():
    from robotrain.cli.app import COMMANDS

    shown = set(re.findall(r"robotrain ([a-z]+)", (ROOT / "README.md").read_text()))
    assert set(COMMANDS) <= shown
