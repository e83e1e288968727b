"""The documents: their links lead somewhere, and the code they show works."""

import importlib
import re
import runpy
import sys
from pathlib import Path

import pytest
from robotrain import network_deadline
from robotrain_runtime.contract.checkpoint import CheckpointManifest, seal_checkpoint
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.failure import PermanentError
from robotrain_runtime.contract.problem import make_data_problem
from robotrain_runtime.contract.target import TargetInspection

ROOT = Path(__file__).parents[1]
OF_EXAMPLES = [*sorted((ROOT / "examples").glob("*/*.md")), *sorted((ROOT / "examples/plugins").glob("*/*.md"))]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *OF_EXAMPLES]


def test_links_lead_somewhere():
    for document in DOCUMENTS:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert link.startswith("https://") or (document.parent / link).exists(), (document, link)


@pytest.mark.parametrize("plugin", sorted((ROOT / "examples/plugins").iterdir()), ids=lambda path: path.name)
def test_what_the_page_of_an_example_plugin_says_to_type_is_there(plugin):
    """From the top of a clone, with the environment that `./uvw sync` makes there."""
    folder = ROOT
    for block in re.findall(r"```sh\n(.*?)```", (plugin / "README.md").read_text(), re.DOTALL):
        for line in block.splitlines():
            words = [word.strip("'").partition("[")[0] for word in line.split()]
            for path in (folder / word for word in words if re.match(r"\.|examples/", word)):
                assert path.exists() or path.resolve() == ROOT / ".venv/bin/python", line
            folder = folder / words[1] if words[:1] == ["cd"] else folder


OF_THE_GUIDE = ("robotrain_hello", "robotrain_sets", "robotrain_lab", "robotrain_best")
GUIDE = "".join((ROOT / f"docs/{page}.md").read_text() for page in ("plugins", "plugin-sources", "plugin-workloads"))
PLATFORMS = (ROOT / "docs/plugin-platforms.md").read_text()
PLUGIN_PAGES = sorted(path.stem for path in (ROOT / "docs").glob("plugin*.md"))


@pytest.fixture
def install_guide_package(tmp_path, monkeypatch):
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
    for name in [name for name in sys.modules if name.startswith(OF_THE_GUIDE)]:
        del sys.modules[name]


@pytest.mark.slow
def test_the_workload_of_the_plugin_guide_runs(robotrain, install_guide_package):
    (install_guide_package("robotrain_hello", "workload.hello", "workload") / "lock.txt").write_text("")
    options = ("--platform", "local", "--environment", sys.prefix, "--times", "4")
    answer = robotrain("submit", "hello", *options, "--wait", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["state"], answer.json["step"], answer.json["total"]) == ("succeeded", 4, 4)


def test_the_rule_of_the_plugin_guide_rules(robotrain, install):
    (rule,) = re.findall(r"A rule of a site, whole:\n\n```python\n(.*?)```", GUIDE, re.DOTALL)
    install("acme", {"acme": "acme_rule"}, acme_rule=rule)
    answer = robotrain("render", "--platform", "local", "--dataset-path", "x", "--batch-size", "101")
    assert answer.exit_code == 3
    assert "acme-batch" in answer.stderr


def test_the_health_check_of_the_plugin_guide_is_a_finding_of_the_doctor(robotrain, install):
    (source,) = re.findall(r"A health check for `robotrain doctor`:\n\n```python\n(.*?)```", GUIDE, re.DOTALL)
    install("acme", {"acme": "acme_health"}, acme_health=source.replace("/mnt/episodes", "/nowhere/episodes"))
    answer = robotrain("doctor", "--platform", "local", "--json")
    assert answer.exit_code == 4
    (check,) = [check for check in answer.json["checks"] if check["name"] == "episodes"]
    assert check["by"] == "acme 1.0"
    assert check["findings"][0]["says"] == "/nowhere/episodes is not mounted"


@pytest.mark.slow
def test_the_source_kind_of_the_plugin_guide_is_taken_checked_and_looked_for(
    robotrain, install_guide_package, tmp_path
):
    install_guide_package("robotrain_sets", "source.lab_set", "kind", **{"/srv/sets": str(tmp_path / "sets")})
    local = ("--platform", "local", "--environment", sys.prefix)
    wrong = robotrain("render", *local, "--lab-set", "pusht")
    assert (wrong.exit_code, "use   --lab-set pusht@3" in wrong.stderr) == (2, True)
    lost = robotrain("submit", *local, "--lab-set", "pusht@3")
    assert (lost.exit_code, f"use   mount {tmp_path / 'sets'}" in lost.stderr) == (4, True), lost.stderr
    answer = robotrain("render", "--platform", "local", "--lab-set", "pusht@3", "--json")
    assert answer.exit_code == 0


def test_the_place_to_publish_to_of_the_plugin_guide_is_written_to(robotrain, install_guide_package, tmp_path):
    disk = tmp_path / "policies"
    install_guide_package("robotrain_lab", "source.lab_disk", "kind", **{"/srv/policies": str(disk)}).joinpath(
        "lock.txt"
    ).touch()
    words = ("render", "--platform", "local", "--dataset-path", "x", "--publish-url")
    plan = robotrain(*words, "lab://act", "--json")
    assert (plan.exit_code, "robotrain_lab.target" in plan.stdout) == (0, True), plan.stderr
    wrong = robotrain(*words, "lab://Act")
    assert (wrong.exit_code, "use   --publish-url lab://pusht-act" in wrong.stderr) == (2, True)

    target, place = (
        importlib.import_module("robotrain_lab.target"),
        ContainerContext(cache=tmp_path, python=Path(sys.executable)),
    )
    assert target.inspect("lab://act", place).problems == (make_data_problem(f"{disk} is not there", f"mount {disk}"),)
    disk.mkdir()
    writer = target.open("lab://act/", place)
    made = {step: write_sealed_checkpoint(tmp_path / f"{step:06}", step, "run-1") for step in (100, 200)}
    assert [writer.write(*checkpoint, lambda: False) for checkpoint in (*made.values(), made[200])] == [
        True,
        True,
        False,
    ]
    assert target.inspect("lab://act", place) == TargetInspection(runs={100: "run-1", 200: "run-1"})
    with pytest.raises(PermanentError, match="000200 is of the run run-1"):
        writer.write(*write_sealed_checkpoint(tmp_path / "other/000200", 200, "run-2"), lambda: False)
    assert writer.trim("run-1", 1, lambda: False) == ("000100",)
    assert [path.name for path in (disk / "act").iterdir()] == ["000200"]


def write_sealed_checkpoint(folder: Path, step: int, run: str) -> tuple[Path, CheckpointManifest]:
    folder.mkdir(parents=True)
    (folder / "weights").write_text(run)
    return folder, seal_checkpoint(folder, step=step, run=run, job="0" * 64)


def test_the_command_of_the_plugin_guide_is_a_command(robotrain, install_guide_package):
    install_guide_package("robotrain_best", "command.best", "command:app")
    answer = robotrain("best", "--newest", "5")
    assert (answer.exit_code, answer.stdout) == (0, "")


def test_the_plugin_file_of_the_plugin_guide_rules_and_greets(robotrain, tmp_path):
    (tmp_path / "tools").mkdir()
    (code,) = re.findall(r"```python\n# robotrain_plugin.py\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "tools/robotrain_plugin.py").write_text(code)
    named = ("--plugins-from", tmp_path / "tools")
    assert robotrain(*named, "greet").stdout == "hello, lab\n"
    render = ("render", "--platform", "local", "--dataset-path", "x", "--batch-size", "512")
    result = robotrain(*named, *render)
    assert (result.exit_code, "use   --batch-size 256" in result.stderr) == (3, True)
    assert robotrain(*render).exit_code == 0


def test_the_time_limits_of_what_asks_an_engine_are_documented():
    limits = PLATFORMS.partition("## Time limits\n")[2].partition("\n## ")[0]
    rows = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.*?) \|", limits, re.MULTILINE))))
    assert {"submit", "find", "status", "logs", "cancel", "outputs", "download", "register"} <= rows
    for seconds in (network_deadline.SHORT_SECONDS, network_deadline.LONG_SECONDS):
        assert f"{seconds:g} s" in limits
    assert f"`{network_deadline.VARIABLE}`" in limits


@pytest.mark.parametrize("page", PLUGIN_PAGES)
def test_links_to_headings_of_the_plugin_pages_lead_to_one(page):
    text = (ROOT / f"docs/{page}.md").read_text()
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
    named = set(re.findall(r"\]\(#([^)]+)\)", text))
    for other in DOCUMENTS:
        named |= set(re.findall(rf"\]\((?:docs/)?{page}\.md#([^)]+)\)", other.read_text()))
    assert named <= anchors


def test_every_feature_is_explained_to_who_declares_it():
    from robotrain.model.capabilities import FEATURES, LIMITS

    features, limits = (
        PLATFORMS.partition(f"### {head}\n")[2].partition("\n### ")[0] for head in ("Features", "Limits")
    )
    assert set(re.findall(r"^\| `([a-z_]+)` \|", features, re.MULTILINE)) == set(FEATURES)
    assert all(f"`{limit}`" in limits for limit in LIMITS)


def test_every_command_of_help_stands_in_the_list_by_task():
    from robotrain.command_table import COMMANDS

    shown = set(re.findall(r"robotrain ([a-z]+)", (ROOT / "docs/cli.md").read_text()))
    assert set(COMMANDS) <= shown


def test_the_table_of_lerobots_spellings_is_fresh(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    table = importlib.import_module("references").format_spellings()
    assert "| `--steps` | `--training-steps` |" in table
    assert (ROOT / "docs/from-lerobot-train.md").read_text().endswith(table), "run .ci/pages"


def test_the_parity_matrix_is_fresh(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    tables = importlib.import_module("references").format_parity()
    assert (ROOT / "docs/parity.md").read_text().endswith(tables), "run .ci/pages"


def test_the_tables_of_policies_are_fresh():
    tables = runpy.run_path(str(ROOT / ".ci/policies_page.py"))["format_page"]()
    assert "| `smolvla` | ran here | ran here | ran here |" in tables
    assert (ROOT / "docs/policies.md").read_text().endswith(tables), "run .ci/pages"


def test_the_table_of_public_names_is_fresh(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    table = importlib.import_module("references").format_public_names()
    assert "| `Platform` | A place to run jobs, as its plugin declares it" in table
    assert not re.findall(r"^\| `(\w+)` \|  \|$", table, re.MULTILINE), "each has a docstring"
    assert (ROOT / "docs/plugin-names.md").read_text().endswith(table), "run .ci/pages"


@pytest.mark.slow
def test_the_references_of_the_site_hold_every_command_and_no_name_of_this_machine(monkeypatch):
    from robotrain.command_table import COMMANDS

    monkeypatch.syspath_prepend(ROOT / "docs")
    references = importlib.import_module("references")
    page = references.format_commands()
    shown = re.findall(r"^## robotrain ?(.*)$", page, re.MULTILINE)
    assert {"", *COMMANDS, "from-lerobot", "bags inspect", "pipeline train-eval"} <= set(shown)
    assert len(re.findall(r"^ +-h, --help", page, re.MULTILINE)) == len(shown) == len(set(shown))
    assert f"{Path.home()}/" not in page
