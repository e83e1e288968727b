"""The job of a colleague's run that is recorded here, submitted from a machine that never heard of its folders."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from robotrain.plugins.manager import get_plugins
from robotrain.store import plans, records, stored_job
from robotrain.submission import carried_record
from robotrain.submission.adopted_job import _list_ways
from robotrain_runtime.contract.document import JobSource, parse_document


@pytest.fixture
def data(pusht, tmp_path) -> Path:
    return shutil.copytree(pusht, tmp_path / "data")


@pytest.fixture
def adopted(robotrain, fake_platform, data, tmp_path, monkeypatch) -> str:
    """A training that a colleague submitted and that is recorded here; from then on, this is another machine."""
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "colleague"))
    options = ("--platform", "fake", "--dataset-path", data, "--training-steps", "7", "--name", "pick", "--slots", "3")
    answer = robotrain("submit", *options, "--", "--policy.n_action_steps=16")
    assert answer.exit_code == 0, answer.stderr
    record = records.read_record(run := answer.stdout.strip())
    document = plans.read_stored_plan(run).plan.files["job.json"]
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "mine"))
    (tmp_path / "mine/runs" / run).mkdir(parents=True)
    records.write_record(dataclasses.replace(record, host=""))
    store_document(run, document)
    return run


def store_document(run: str, document: bytes) -> None:
    (folder := stored_job.get_plan_folder(run)).mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_bytes(document)


def read_document(run: str) -> dict:
    return json.loads((stored_job.get_plan_folder(run) / "job.json").read_bytes())


def write_document(name: str, /, **changes: object) -> None:
    store_document(name, json.dumps(read_document(name) | changes).encode())


def test_the_job_of_a_run_is_submitted_as_it_was(robotrain, adopted, tmp_path, monkeypatch):
    shown = robotrain("resubmit", adopted, "--dry-run", "--json", "--new")
    assert shown.exit_code == 0, shown.stderr
    assert records.list_runs() == [adopted]
    answer = robotrain("resubmit", adopted, "--json", "--new")
    assert answer.exit_code == 0, answer.stderr
    assert "same job as" in answer.stderr
    record = records.read_record(answer.json["run"])
    assert (record.parent, record.name, record.platform) == (adopted, "pick", "fake")
    assert record.run == f"{adopted[:-1]}2", "places that runs publish to tell them apart by their names"
    assert shown.json["run"] == record.run
    stored = plans.read_stored_plan(record.run)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "colleague"))
    before = plans.read_stored_plan(adopted)
    assert stored.plan.job == before.plan.job, "with its pins"
    chosen = ("training_steps", "batch_size")
    origins = {row["name"]: row["origin"] for row in stored.values if row["name"] in chosen}
    assert origins == {"training_steps": f"run {adopted}", "batch_size": "default"}
    assert stored.settings == {"slots": 3}


def test_a_change_is_shown_and_the_rest_stays(robotrain, adopted):
    answer = robotrain("resubmit", adopted, "--set", "seed=5", "--set", "slots=4", "--", "--policy.n_action_steps=8")
    assert answer.exit_code == 0, answer.stderr
    shown = [line.strip() for line in answer.stderr.splitlines() if line.startswith("  ") and "→" in line]
    assert shown == ["seed: 1000 → 5", "slots: 3 → 4", "--policy.n_action_steps: 16 → 8"]
    job = plans.read_stored_plan(answer.stdout.strip()).plan.job
    assert (job["seed"], job["training_steps"]) == (5, 7)


def test_what_is_on_another_machine_is_named_at_once_with_what_gives_it(robotrain, adopted, data, tmp_path):
    placement = read_document(adopted)["placement"] | {"environment": "/home/colleague/venv"}
    write_document(adopted, placement=placement)
    moved = data.rename(tmp_path / "elsewhere")
    local = ("resubmit", adopted, "--platform", "local")
    answer = robotrain(*local)
    answer.check_problems(3, "not-on-this-machine dataset", "not-on-this-machine environment")
    problems = robotrain(*local, "--json").json["problems"]
    ways = [way["text"] for problem in problems for way in problem["instead"]]
    assert (ways[0], ways[-1]) == ("--set sources.dataset.local_path=FOLDER", "--set environment=none")
    options = (ways[0].replace("FOLDER", str(moved)), ways[-1])
    answer = robotrain(*local, *(word for way in options for word in way.split()), "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    robotrain("resubmit", adopted, "--platform", "fake").check_problems(3, "not-on-this-machine dataset")


def test_code_that_another_user_trusts_has_to_be_trusted_here_too(robotrain, adopted):
    run = write_trusted(f"lab/policy@{'0' * 40}")
    robotrain("resubmit", run).check_problems(
        2, "not-on-this-machine trust_remote_code", "remote-code-not-trusted --trust-remote-code"
    )
    answer = robotrain("resubmit", run, "--set", "trust_remote_code=none", "--dry-run")
    assert answer.exit_code == 0, answer.stderr


def write_trusted(trusted: str) -> str:
    """Return the run, renamed, of a user who trusted code of the Hub."""
    (adopted,) = records.list_runs()
    parameters = read_document(adopted)["parameters"] | {"trust_remote_code": trusted}
    document = parse_document(json.dumps(read_document(adopted) | {"parameters": parameters}))
    job = carried_record.restore_job(document, get_plugins().workload(document.workload))
    record = dataclasses.replace(records.read_record(adopted), run=(run := job.run_name(1)), job=job.digest)
    records.get_run_folder(adopted).rename(records.get_run_folder(run))
    records.write_record(record)
    write_document(run, parameters=parameters, run=run, job=job.digest)
    return run


def test_a_copy_of_a_folder_has_to_be_the_same_unless_it_is_pinned_again(robotrain, adopted, data, tmp_path):
    moved = data.rename(tmp_path / "elsewhere")
    words = ("resubmit", adopted, "--set", f"sources.dataset.local_path={moved}")
    before = read_document(adopted)["sources"][0]["pin"]
    stored = plans.read_stored_plan(robotrain(*words).stdout.strip())
    assert [(source.uri, source.pin) for source in stored.plan.job.sources if source.role == "dataset"] == [
        (str(moved), before)
    ]
    (moved / "meta/added.txt").write_text("another")
    robotrain(*words, "--new").check_problems(4, "pin-gone dataset")
    answer = robotrain(*words, "--repin", "--new")
    assert answer.exit_code == 0, answer.stderr
    pins = [source.pin for source in plans.read_stored_plan(answer.stdout.strip()).plan.job.sources]
    assert before not in pins


def test_another_platform_takes_the_job(robotrain, adopted, plain_platform):
    words = ("resubmit", adopted, "--platform", "plain")
    answer = robotrain(*words, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["platform"], answer.json["job"]) == ("plain", records.read_record(adopted).job)
    assert "platform: fake → plain" in answer.stderr
    again = robotrain("resubmit", answer.json["run"], "--platform", "fake", "--json")
    assert (again.json["platform"], again.json["job"]) == ("fake", answer.json["job"]), "of an own run too"


@pytest.mark.parametrize("change", [{"record": {"title": 5}}, {"record": {"labels": ["x"]}}])
def test_a_document_that_is_damaged_is_refused(robotrain, adopted, change):
    write_document(adopted, **change)
    robotrain("resubmit", adopted, "--new").check_problems(2, "plan-not-kept")
    assert records.list_runs() == [adopted]


def test_what_another_user_trusts_is_one_word_of_the_command_that_trusts_it_too(robotrain, adopted):
    trusted = f"lab/$(reboot)@{'0' * 40}"
    run = write_trusted(trusted)
    problems = robotrain("resubmit", run, "--json").json["problems"]
    assert problems[0]["instead"][0]["text"] == f"--set trust_remote_code='{trusted}'"


def test_a_commit_that_somebody_wrote_is_no_pattern(fake_platform):
    plugins = get_plugins()
    source = JobSource(role="code", kind="local_path", uri="/gone", pin="", tags=(r"commit=\q", "dirty=false"))
    ways = [*_list_ways(source, plugins.platform("local"), plugins.source_kinds())]
    assert any(r"\q" in way.text for way in ways)


def test_packages_that_another_user_locked_by_an_address_are_locked_again(robotrain, adopted):
    write_document(adopted, program_lock="--index-url https://evil.example\n")
    robotrain("resubmit", adopted, "--dry-run").check_problems(3, "not-on-this-machine program_lock")
    assert "evil.example" not in robotrain("resubmit", adopted, "--repin", "--dry-run", "--json").stdout
