"""The lock of a program on its way: into the plan, kept by resubmit, shared by the steps of a pipeline."""

import json
from pathlib import Path

import pretend_index
import pytest
from fake_engine import set_run_state
from robotrain.store import plans, stored_job
from robotrain_runtime.contract import document
from robotrain_runtime.contract.added_packages import find_other_line
from robotrain_runtime.environments import uv_program

pytestmark = pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")
PLATFORM = Path(__file__).parents[1] / "plain_platform.py"
COMMAND = ("--", "python", "train.py")


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch, install) -> Path:
    """The folder of wheels that stands in for the package index, and a platform that takes programs."""
    source = PLATFORM.read_text().replace('{"lerobot-train": YES}', '{"lerobot-train": YES, "command": YES}')
    source = source.replace('("policy", "blob_url")', '("code", "local_path"): YES, ("policy", "blob_url")')
    install("robotrain-plain", {"platform.plain": "plain_plugin"}, plain_plugin=source)
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "shelf"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    pretend_index.wheel(tmp_path / "shelf", "moves", "1.0")
    return tmp_path / "shelf"


@pytest.fixture
def words(tmp_path) -> tuple[str, ...]:
    """A program and its requirements, as the words of a job."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/train.py").write_text("import moves\n")
    (tmp_path / "code/requirements.txt").write_text("moves\n")
    code = ("--code", str(tmp_path / "code"), "--requirements", str(tmp_path / "code/requirements.txt"))
    return ("command", "--platform", "plain", *code, "--python-version", "3.11")


@pytest.fixture
def newer_moves(shelf):
    """Publish a newer version in the index from now on."""
    return lambda: pretend_index.wheel(shelf, "moves", "2.0")


@pytest.fixture
def uv_runs(monkeypatch):
    """Return how often uv was asked."""
    from robotrain_workloads.package_lock import locking

    calls = []
    original = locking.run_uv
    monkeypatch.setattr(locking, "run_uv", lambda words: calls.append(words) or original(words))
    return lambda: len(calls)


def read_lock(run: str) -> str:
    content = plans.read_stored_plan(run).plan.files["job.json"]
    return document.parse_document(content.decode()).program_lock


def test_a_dry_run_says_what_was_locked_and_the_document_has_it(robotrain, words):
    answer = robotrain("submit", *words, "--dry-run", "--json", *COMMAND)
    assert answer.json["program_lock"].startswith("requirements.txt: 1 package, Python 3.11, sha256:")
    body = json.loads(answer.json["files"]["job.json"]["text"])
    assert "moves==1.0" in body["program_lock"]
    assert find_other_line(body["program_lock"]) == ""
    assert body["program_python"] == "3.11"
    assert "packages  requirements.txt: 1 package" in robotrain("submit", *words, "--dry-run", *COMMAND).stdout


def test_explain_and_render_know_only_what_was_locked_before(robotrain, words, uv_runs):
    assert "moves==1.0" not in robotrain("render", *words, *COMMAND).stdout
    assert "program_lock" not in robotrain("explain", *words, *COMMAND).stdout
    assert uv_runs() == 0
    robotrain("submit", *words, "--dry-run", *COMMAND)
    run_count = uv_runs()
    assert "moves==1.0" in robotrain("render", *words, *COMMAND).stdout
    assert "1 package, Python 3.11" in robotrain("explain", *words, *COMMAND).stdout
    assert uv_runs() == run_count


def test_packages_are_locked_without_pins_too(robotrain, words):
    assert "moves==1.0" in read_lock(robotrain("submit", *words, "--no-pin", *COMMAND).stdout.strip())


def test_what_cannot_be_locked_stops_the_submit(robotrain, words, tmp_path):
    (tmp_path / "code/requirements.txt").write_text("no_such_thing\n")
    robotrain("submit", *words, *COMMAND).check_problems(4, "lock-failed")
    assert robotrain("runs", "--json").json["runs"] == []


def test_resubmit_keeps_the_packages_unless_they_are_locked_again(robotrain, words, newer_moves, tmp_path):
    run = robotrain("submit", *words, *COMMAND).stdout.strip()
    newer_moves()
    (tmp_path / "code/requirements.txt").write_text("moves>1\n")
    assert read_lock(robotrain("resubmit", run, "--new").stdout.strip()) == read_lock(run)
    changed = robotrain("resubmit", run, "--set", "results=scores.json").stdout.strip()
    assert read_lock(changed) == read_lock(run)
    rows = {row["name"]: row for row in stored_job.read_stored_values(changed)}
    assert rows["program_lock"]["value"].startswith("1 package")
    other_python = robotrain("resubmit", run, "--set", "python_version=3.12").stdout.strip()
    assert "moves==2.0" in read_lock(other_python)
    answer = robotrain("resubmit", run, "--repin", "--new")
    assert "moves==2.0" in read_lock(answer.stdout.strip())
    assert "program_lock: 1 package" in answer.stderr


def test_other_packages_make_another_plan_of_the_same_job(robotrain, words, newer_moves, tmp_path):
    robotrain("submit", *words, "--dry-run", *COMMAND)
    first = robotrain("render", *words, "--to", tmp_path / "first", *COMMAND)
    newer_moves()
    (tmp_path / "code/requirements.txt").write_text("moves>1\n")
    robotrain("submit", *words, "--dry-run", *COMMAND)
    robotrain("render", *words, "--to", tmp_path / "second", *COMMAND)
    assert first.exit_code == 0
    digests = {plans.read_plan_folder(tmp_path / name).plan.digest for name in ("first", "second")}
    assert len(digests) == 2


def test_a_running_job_is_the_same_only_with_the_same_packages(robotrain, words, fake_platform, newer_moves, tmp_path):
    line = ["command", "--platform", "fake", *words[5:], "--json", "--", "true"]  # without code
    first = robotrain("submit", *line).json
    set_run_state(fake_platform, first["run"], "running")
    assert robotrain("submit", *line).json["new"] is False
    newer_moves()
    (tmp_path / "code/requirements.txt").write_text("moves>1\n")
    other = robotrain("submit", *line).json
    assert (other["new"], other["job"]) == (True, first["job"])


STEP = {"workload": "command", "run": ["python", "train.py"]}


def test_the_steps_of_a_pipeline_that_install_the_same_ask_once(robotrain, words, uv_runs, tmp_path):
    code = tmp_path / "code"
    step = {**STEP, "sources": {"code": [{"local_path": str(code)}]}}
    parameters = {"python_version": "3.11", "requirements": str(code / "requirements.txt")}
    steps = {
        "first": {**step, "parameters": parameters},
        "second": {**step, "parameters": {**parameters, "results": "scores.json"}},
    }
    steps["third"] = {**step, "parameters": {"install": False}}
    (tmp_path / "three.yaml").write_text(json.dumps({"name": "three", "steps": steps}))
    answer = robotrain("pipeline", "submit", tmp_path / "three.yaml", "--platform", "plain", "--dry-run", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert uv_runs() == 2  # to resolve, and for the hashes
    planned = json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]
    assert ["moves==1.0" in document.get("program_lock", "") for document in planned] == [True, True, False]
