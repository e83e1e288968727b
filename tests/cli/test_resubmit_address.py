"""The job of a colleague's run or of a published checkpoint, submitted from a machine that never heard of it."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn
from robotrain.plugins.manager import get_plugins
from robotrain.store import plans, records
from robotrain.submission import carried_record
from robotrain.submission.absent_parts import _list_ways
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import JobSource, collect_portable, parse_document
from robotrain_sources.huggingface import layout

SIGNED = "https://account1.blob.core.windows.net/runs/pick?sv=2021&sig=aHVzaGh1c2g%3D"


def seal(run: str, folder: Path, **changes: object) -> Path:
    """Make a checkpoint as a run of the fake platform seals it."""
    plan = plans.read_stored_plan(run).plan
    document = collect_portable(parse_document(plan.files["job.json"].decode())) | changes
    model = folder / "pretrained_model"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"weights")
    job = plan.job.digest
    checkpoint.seal_checkpoint(
        folder, step=int(folder.name), run=run, job=job, model="pretrained_model", document=document
    )
    return folder


@pytest.fixture
def data(pusht, tmp_path) -> Path:
    return shutil.copytree(pusht, tmp_path / "data")


@pytest.fixture
def published(robotrain, fake_platform, data, tmp_path, monkeypatch) -> Path:
    """A checkpoint of a training that a colleague submitted; from then on, this is another machine."""
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "colleague"))
    options = ("--platform", "fake", "--dataset-path", data, "--training-steps", "7", "--name", "pick", "--slots", "3")
    answer = robotrain("submit", *options, "--", "--policy.n_action_steps=16")
    assert answer.exit_code == 0, answer.stderr
    folder = seal(answer.stdout.strip(), tmp_path / "published/000004")
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "mine"))
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[HubStandIn]:
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubStandIn() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        yield stand_in


def test_the_job_of_a_checkpoint_is_submitted_as_it_was(robotrain, published, tmp_path, monkeypatch):
    (manifest := checkpoint.read_manifest(published)) or pytest.fail("it is not sealed")
    shown = robotrain("resubmit", published, "--dry-run", "--json")
    assert shown.exit_code == 0, shown.stderr
    assert records.list_runs() == []
    answer = robotrain("resubmit", published, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["job"], answer.json["platform"]) == (manifest.job, "fake")
    assert "same job as" in answer.stderr
    record = records.read_record(answer.json["run"])
    assert (record.parent, record.name) == (manifest.run, "pick")
    assert record.run == f"{manifest.run[:-1]}2", "places that runs publish to tell them apart by their names"
    assert shown.json["run"] == record.run
    stored = plans.read_stored_plan(record.run)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "colleague"))
    before = plans.read_stored_plan(manifest.run)
    assert stored.plan.job == before.plan.job, "with its pins"
    chosen = ("training_steps", "batch_size")
    origins = {row["name"]: row["origin"] for row in stored.values if row["name"] in chosen}
    assert origins == {"training_steps": f"run {manifest.run}", "batch_size": "default"}
    assert stored.settings == {"slots": 50}, "a checkpoint does not tell the settings of the platform"


def test_a_change_is_shown_and_the_rest_stays(robotrain, published):
    answer = robotrain("resubmit", published, "--set", "seed=5", "--set", "slots=4", "--", "--policy.n_action_steps=8")
    assert answer.exit_code == 0, answer.stderr
    shown = [line.strip() for line in answer.stderr.splitlines() if line.startswith("  ") and "→" in line]
    assert shown == ["seed: 1000 → 5", "--policy.n_action_steps: 16 → 8"]
    job = plans.read_stored_plan(answer.stdout.strip()).plan.job
    assert (job["seed"], job["training_steps"]) == (5, 7)


def test_the_newest_checkpoint_of_a_folder_and_the_model_in_one_say_the_job_too(robotrain, published):
    run = checkpoint.read_manifest(published).run
    shutil.copytree(published, published.parent / "000009")
    (published.parent / "000009/robotrain-checkpoint.json").unlink()
    for address in (published.parent, published / "pretrained_model"):
        assert f"same job as {run}" in robotrain("resubmit", address, "--dry-run").stderr


def test_a_run_of_this_machine_counts_before_a_folder_of_its_name(robotrain, published, tmp_path, monkeypatch):
    own = robotrain("resubmit", published, "--set", "seed=5", "--name", "pick", "--json").json["run"]
    shutil.copytree(published.parent, tmp_path / "here/pick")
    monkeypatch.chdir(tmp_path / "here")
    assert f"same plan as {own}" in robotrain("resubmit", "pick", "--dry-run", "--new").stderr
    assert "same job as" in robotrain("resubmit", "./pick", "--dry-run").stderr


def test_what_is_on_another_machine_is_named_at_once_with_what_gives_it(robotrain, published, data, tmp_path):
    manifest = checkpoint.read_manifest(published)
    placement = manifest.document["placement"] | {"environment": "/home/colleague/venv"}
    write_document(published, manifest.document | {"placement": placement})
    moved = data.rename(tmp_path / "elsewhere")
    local = ("resubmit", published, "--platform", "local")
    answer = robotrain(*local)
    answer.check_problems(3, "not-on-this-machine dataset", "not-on-this-machine environment")
    problems = robotrain(*local, "--json").json["problems"]
    ways = [way["text"] for problem in problems for way in problem["instead"]]
    assert (ways[0], ways[-1]) == ("--set sources.dataset.local_path=FOLDER", "--set environment=none")
    options = (ways[0].replace("FOLDER", str(moved)), ways[-1])
    answer = robotrain(*local, *(word for way in options for word in way.split()), "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    robotrain("resubmit", published, "--platform", "fake").check_problems(3, "not-on-this-machine dataset")


def test_settings_that_somebody_wrote_into_a_checkpoint_do_not_count(robotrain, published):
    document = checkpoint.read_manifest(published).document
    planted = {"settings": {"slots": 9}, "values": {"seed": ["1", "2"]}, "note": "theirs", "parent": "x"}
    write_document(published, document | {"record": document["record"] | planted})
    record = records.read_record(robotrain("resubmit", published, "--json").json["run"])
    assert (record.settings, record.note, record.parent) == ({"slots": 50}, "", document["run"])


def test_code_that_another_user_trusts_has_to_be_trusted_here_too(robotrain, published):
    write_trusted(published, f"lab/policy@{'0' * 40}")
    robotrain("resubmit", published).check_problems(
        2, "not-on-this-machine trust_remote_code", "remote-code-not-trusted --trust-remote-code"
    )
    answer = robotrain("resubmit", published, "--set", "trust_remote_code=none", "--dry-run")
    assert answer.exit_code == 0, answer.stderr


def write_trusted(published: Path, trusted: str) -> None:
    manifest = checkpoint.read_manifest(published)
    parameters = manifest.document["parameters"] | {"trust_remote_code": trusted}
    document = parse_document(json.dumps(manifest.document | {"parameters": parameters}))
    job = carried_record.restore_job(document, get_plugins().workload(document.workload))
    changed = {"parameters": parameters, "run": job.run_name(1), "job": job.digest}
    write_document(published, manifest.document | changed)


def write_document(folder: Path, document: dict) -> None:
    manifest = dataclasses.replace(checkpoint.read_manifest(folder), document=document)
    (folder / "robotrain-checkpoint.json").write_bytes(checkpoint.format_manifest(manifest))


def test_a_copy_of_a_folder_has_to_be_the_same_unless_it_is_pinned_again(robotrain, published, data, tmp_path):
    moved = data.rename(tmp_path / "elsewhere")
    words = ("resubmit", published, "--set", f"sources.dataset.local_path={moved}")
    before = checkpoint.read_manifest(published).document["sources"][0]["pin"]
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


def test_another_platform_takes_the_job(robotrain, published, plain_platform):
    words = ("resubmit", published, "--platform", "plain")
    answer = robotrain(*words, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["platform"], answer.json["job"]) == ("plain", checkpoint.read_manifest(published).job)
    assert "platform: fake → plain" in answer.stderr
    again = robotrain("resubmit", answer.json["run"], "--platform", "fake", "--json")
    assert (again.json["platform"], again.json["job"]) == ("fake", answer.json["job"]), "of an own run too"


DAMAGES = (
    ({"parameters": {}}, "is not the one that robotrain wrote"),
    ({"schema": 9, "record": {"robotrain": "7.0"}}, "was sent by robotrain 7.0"),
    ({"record": "x"}, "was sent by robotrain another version"),
    ({"record": {"title": 5}}, "is not the one that robotrain wrote"),
    ({"record": {"labels": ["x"]}}, "is not the one that robotrain wrote"),
    (None, "does not say of which job it is"),
)


def test_a_checkpoint_that_does_not_say_its_job_is_refused(robotrain, published):
    file = published / "robotrain-checkpoint.json"
    manifest = json.loads(file.read_text())
    document = manifest.pop("document")
    for change, title in DAMAGES:
        file.write_text(json.dumps(manifest | ({"document": document | change} if change else {})))
        answer = robotrain("resubmit", published)
        answer.check_problems(2, "job-not-known")
        assert title in answer.stderr, change
    assert records.list_runs() == []


def test_what_somebody_wrote_for_the_run_is_no_command(robotrain, published):
    file = published / "robotrain-checkpoint.json"
    manifest = json.loads(file.read_text())
    for run, fact in (
        (5, "no run of this machine"),
        ("x; reboot", "robotrain resubmit 'x; reboot'"),
    ):
        file.write_text(json.dumps({**manifest, "run": run, "document": {}}))
        answer = robotrain("resubmit", published)
        answer.check_problems(2, "job-not-known")
        assert fact in answer.stderr


def test_what_another_user_trusts_is_one_word_of_the_command_that_trusts_it_too(robotrain, published):
    trusted = f"lab/$(reboot)@{'0' * 40}"
    write_trusted(published, trusted)
    problems = robotrain("resubmit", published, "--json").json["problems"]
    assert problems[0]["instead"][0]["text"] == f"--set trust_remote_code='{trusted}'"


def test_a_commit_that_somebody_wrote_is_no_pattern(fake_platform):
    plugins = get_plugins()
    source = JobSource(role="code", kind="local_path", uri="/gone", pin="", tags=(r"commit=\q", "dirty=false"))
    ways = [*_list_ways(source, plugins.platform("local"), plugins.source_kinds())]
    assert any(r"\q" in way.text for way in ways)


def test_a_platform_that_is_not_here_is_named(robotrain, published):
    manifest = checkpoint.read_manifest(published)
    write_document(published, manifest.document | {"platform": "elsewhere"})
    robotrain("resubmit", published).check_problems(3, "not-on-this-machine")
    assert robotrain("resubmit", published, "--platform", "fake", "--dry-run").exit_code == 0


def test_an_address_with_a_signature_is_neither_used_nor_repeated(robotrain, fake_platform):
    answer = robotrain("resubmit", SIGNED, "--json")
    answer.check_problems(2, "job-not-known")
    assert "aHVzaGh1c2g" not in answer.stdout + answer.stderr


def test_a_text_that_names_nothing_is_answered_by_its_form(robotrain, published, tmp_path):
    robotrain("resubmit", tmp_path / "nowhere").check_problems(2, "job-not-known")
    robotrain("resubmit", "pikc").check_problems(2, "run-unknown")


def test_a_checkpoint_of_the_hub_says_the_job_without_paths_of_its_machine(robotrain, published, hub, data):
    files = layout.arrange_checkpoint(published, checkpoint.read_manifest(published), {})
    content = {where: (published / path).read_bytes() for path, where in files.paths.items()}
    content["robotrain-checkpoint.json"] = checkpoint.format_manifest(files.manifest)
    assert str(data).encode() not in content["robotrain-checkpoint.json"]
    hub.repository("me/act", content)
    answer = robotrain("resubmit", "hf://me/act")
    answer.check_problems(3, "not-on-this-machine dataset")
    answer = robotrain("resubmit", "hf://me/act@main", "--set", f"sources.dataset.local_path={data}", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["job"] == checkpoint.read_manifest(published).job
    unread = robotrain("resubmit", "hf://me/none")
    unread.check_problems(4, "job-not-known")
    robotrain("resubmit", "hf://me/act@mian").check_problems(4, "job-not-known")


def test_packages_that_another_user_locked_by_an_address_are_locked_again(robotrain, published):
    document = checkpoint.read_manifest(published).document
    write_document(published, document | {"program_lock": "--index-url https://evil.example\n"})
    robotrain("resubmit", published, "--dry-run").check_problems(3, "not-on-this-machine program_lock")
    assert "evil.example" not in robotrain("resubmit", published, "--repin", "--dry-run", "--json").stdout
