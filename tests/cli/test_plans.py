"""Plans as folders: what `render --to` wrote is what `submit --plan` sends."""

import json
import shlex
from pathlib import Path

import pytest
from fake_engine import answer_submits
from robotrain.store import plans, records, stored_job


@pytest.fixture
def plan_folder(robotrain, fake_platform, job_words, tmp_path):
    """A folder with a rendered plan."""
    robotrain("render", *job_words, "--to", tmp_path / "plan")
    return tmp_path / "plan"


@pytest.fixture
def submit_plan(robotrain, plan_folder):
    """Submit the rendered plan: `submit_plan("--dry-run")`."""
    return lambda *words: robotrain("submit", "--plan", plan_folder, *words)


def test_rendered_plan_is_submitted_byte_for_byte_and_only_once(submit_plan, fake_platform, plan_folder):
    answer = submit_plan()
    run = answer.stdout.strip()
    assert answer.exit_code == 0
    for path in ("job.json", "payload.zip"):
        assert (stored_job.get_plan_folder(run) / path).read_bytes() == (plan_folder / path).read_bytes()
    assert (fake_platform / "jobs" / run).read_text().strip() == records.read_record(run).plan
    (fake_platform / f"{run}.json").write_text('{"state": "succeeded"}')
    submit_plan().check_problems(2, "run-name-taken")
    assert submit_plan("--dry-run").exit_code == 2


@pytest.mark.parametrize("attempt", ["0", "-1", "two", "1000000", "9" * 5000])
def test_attempt_is_a_whole_number_within_its_bounds(robotrain, fake_platform, job_words, attempt):
    answer = robotrain("render", *job_words, "--attempt", attempt)
    answer.check_problems(2, "value-invalid --attempt")


def test_interrupted_submit_of_a_plan_is_reconciled(submit_plan, fake_platform):
    with answer_submits(fake_platform, "takes it and hangs up"):
        assert submit_plan().exit_code == 1
    answer = submit_plan()
    answer.check_problems(0, "run-adopted")
    assert len((fake_platform / "jobs" / answer.stdout.strip()).read_text().split()) == 1


def test_edited_plan_is_refused_and_nothing_is_sent(submit_plan, fake_platform, plan_folder):
    path = plan_folder / "job.json"
    path.write_text(path.read_text().replace('"training_steps": 7', '"training_steps": 8'))
    answer = submit_plan()
    answer.check_problems(2, "plan-fixed")
    for text in ("job.json", "--set", "--spec-patch FILE"):
        assert text in answer.stderr
    assert not (fake_platform / "jobs").exists()


def test_plan_is_refused_after_an_interrupted_submit_of_another_plan_of_the_same_name(
    robotrain, submit_plan, fake_platform, job_words, tmp_path
):
    with answer_submits(fake_platform, "hangs up"):
        submit_plan()
    robotrain("render", *job_words, "--slots", "60", "--to", tmp_path / "other")
    robotrain("submit", "--plan", tmp_path / "other").check_problems(2, "run-name-taken")
    assert not (fake_platform / "jobs").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        *((("PLAN", *more), "plan-fixed") for more in (["--training-steps", "9"], ["--slots", "60"], ["--new"])),
        (("PLAN", "lerobot-train"), "plan-fixed"),
        (("",), "flag-without-value --plan"),
        (("a", "--plan", "b"), "option-repeated --plan"),
        (("a", "--wiat"), "option-unknown --wiat"),
        (("--dry-run",), "flag-without-value --plan"),
        ((".",), "plan-unreadable"),
    ],
)
def test_line_that_does_not_fit_a_plan_is_refused(robotrain, plan_folder, words, problem):
    line = [plan_folder if word == "PLAN" else word for word in words]
    answer = robotrain("submit", "--plan", *line, *(["--platform", "fake"] if words[0] == "PLAN" else []))
    answer.check_problems(2, problem)


@pytest.mark.parametrize(
    "manifest",
    [
        *("{", "[]", '{"schema": 9}', {"run": "../../elsewhere-1"}, {"shown": ["nowhere.json"]}),
        *({"spec": "nowhere.json"}, {"values": [{"name": "seed"}]}, {"payload": "../payload.zip"}),
    ],
)
def test_damaged_plan_is_refused(submit_plan, plan_folder, manifest):
    path = plan_folder / plans.MANIFEST_FILE
    changed = isinstance(manifest, dict)
    path.write_text(json.dumps(json.loads(path.read_text()) | manifest) if changed else manifest)
    submit_plan().check_problems(2, "plan-unreadable")
    assert records.list_runs() == []


@pytest.mark.parametrize("schema", [1, 99])
def test_plan_in_another_format_is_refused(robotrain, submit_plan, plan_folder, sent_run, schema):
    for folder in (plan_folder, stored_job.get_plan_folder(sent_run)):
        path = folder / plans.MANIFEST_FILE
        path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": schema, "robotrain": "8.1"}))
    for answer, code in ((submit_plan(), "plan-unreadable"), (robotrain("resubmit", sent_run), "plan-not-kept")):
        answer.check_problems(2, code)
    assert robotrain("status", sent_run).exit_code == 0


def test_no_file_of_a_plan_is_outside_its_folder(submit_plan, plan_folder):
    path = plan_folder / plans.MANIFEST_FILE
    whole = path.read_text()
    path.write_text(whole.replace('"files": {', '"files": {"../secret": "' + "0" * 64 + '",'))
    submit_plan().check_problems(2, "plan-unreadable")
    path.write_text(whole)
    (plan_folder.parent / "secret").write_text("")
    (plan_folder / "job.json").unlink()
    (plan_folder / "job.json").symlink_to(plan_folder.parent / "secret")
    submit_plan().check_problems(2, "plan-unreadable")


ENGINE_COMMANDS = ("sbatch", "squeue", "scontrol", "sinfo", "sacct", "scancel", "osmo")


@pytest.fixture
def folder_without_engines(tmp_path_factory):
    """A folder for PATH with the programs of this machine, but for those of Slurm and OSMO."""
    folder = tmp_path_factory.mktemp("bin")
    for program in {path.name: path for path in (*Path("/usr/bin").iterdir(), *Path("/bin").iterdir())}.values():
        if program.name not in ENGINE_COMMANDS:
            (folder / program.name).symlink_to(program)
    return folder


@pytest.mark.parametrize("place", ["--platform osmo --pool lab", "--platform slurm --partition lab"])
def test_submit_without_the_platforms_command_names_the_command_that_renders(
    robotrain, monkeypatch, tmp_path, folder_without_engines, place
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(folder_without_engines))
    (tmp_path / "train.py").touch()
    answer = robotrain("submit", "train.py", "--dry-run", *shlex.split(place), "--json")
    problem = answer.json["problems"][-1]
    assert (answer.exit_code, problem["code"]) == (4, "submit-command-missing")
    assert any(way["text"].startswith("robotrain render ") for way in problem["instead"])
