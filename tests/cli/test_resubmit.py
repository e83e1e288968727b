"""Runs once more: `resubmit` sends the same plan or a changed one, `resume` continues, `register` keeps the policy."""

import json
import re
import shutil
from types import SimpleNamespace

import pytest
from fake_engine import answer_submits, set_run_state
from hub_platform import HUB_PLATFORM
from robotrain.model.plan import Payload
from robotrain.model.run import Output, locate_output
from robotrain.store import plans, records, stored_job
from robotrain.submission import prepare, resume
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Metrics, Outcome, Published, StageEvent, format_event


@pytest.fixture
def newer_payload(monkeypatch):
    """Pack another payload from now on, as a newer robotrain does."""
    monkeypatch.setattr(prepare, "pack_payload", lambda container_plugins: Payload(b"of a newer robotrain"))


def test_resubmit_sends_the_same_plan_and_payload_as_the_next_attempt(robotrain, sent_run, monkeypatch):
    monkeypatch.setattr(prepare, "pack_payload", lambda container_plugins: pytest.fail("a payload is packed"))
    answer = robotrain("resubmit", sent_run, "--new")
    again = answer.stdout.strip()
    assert again == sent_run[:-1] + "2"
    assert sent_run in answer.stderr
    before, after = plans.read_stored_plan(sent_run), plans.read_stored_plan(again)
    assert (before.plan.job, before.settings, before.payload.digest) == (
        after.plan.job,
        after.settings,
        after.payload.digest,
    )


def test_resubmit_names_settings_that_were_added_or_removed(robotrain, sent_run):
    path = stored_job.get_plan_folder(sent_run) / "robotrain-plan.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps(body | {"settings": {"latitude": 7}}))
    answer = robotrain("resubmit", sent_run, "--dry-run")
    assert "latitude: 7 → not set" in answer.stderr
    assert "slots: not set → 50" in answer.stderr


def test_resubmit_without_changes_shows_the_job(robotrain, sent_run):
    answer = robotrain("resubmit", sent_run, "--dry-run")
    assert f"same plan as {sent_run}\n" in answer.stderr
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in answer.stdout.splitlines())
    assert rows["workload"].startswith("lerobot-train: ")


def test_resubmit_with_another_payload_names_it(robotrain, sent_run, newer_payload):
    assert "payload: " in robotrain("resubmit", sent_run, "--set", "batch_size=4", "--dry-run").stderr
    assert "payload: " not in robotrain("resubmit", sent_run, "--dry-run").stderr


def test_resubmit_with_set_keeps_other_values_and_origins_whatever_the_environment_says(
    robotrain, sent_run, monkeypatch
):
    monkeypatch.setenv("BATCH_SIZE", "3")
    words = ("resubmit", sent_run, "--set", "seed=5", "--set", "slots=60")
    answer = robotrain(*words, "--dry-run")
    assert [text for text in ("seed: 1000 → 5", "slots: 50 → 60") if text not in answer.stderr] == []
    assert records.list_runs() == [sent_run]
    stored = plans.read_stored_plan(robotrain(*words).stdout.strip())
    assert [stored.plan.job[name] for name in ("batch_size", "training_steps", "seed")] == [32, 7, 5]
    origins = {value["name"]: value["origin"] for value in stored.values}
    assert [origins[name] for name in ("training_steps", "batch_size", "seed")] == [
        "flag --training-steps",
        "default",
        "flag --set seed",
    ]


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (
            "--policy.chunk_size 64 --policy.n_action_steps 1",
            "--policy.n_action_steps 1 --policy.chunk_size 1",
            "--policy.chunk_size: 64 → 1",
        ),
        ("--policy.chunk_size 100", "--tolerance_s 5", "--tolerance_s: not set → 5"),
        (
            "--policy.n_heads 4 --tolerance_s 5",
            "--policy.n_heads 4",
            "trainer_args: --policy.n_heads 4 --tolerance_s 5 → --tolerance_s 5 --policy.n_heads 4",
        ),
    ],
)
def test_resubmit_shows_options_of_two_words_with_their_values(
    robotrain, fake_platform, job_words, before, after, shown
):
    first = robotrain("submit", *job_words, "--no-pin", "--", *before.split())
    answer = robotrain("resubmit", first.stdout.strip(), "--dry-run", "--", *after.split())
    assert f"  {shown}\n" in answer.stderr, first.stderr


def test_resubmit_replaces_single_options_of_the_trainer(robotrain, fake_platform, job_words):
    size, steps = "--policy.chunk_size=16", "--policy.n_action_steps=12"
    first = robotrain("submit", *job_words, "--no-pin", "--", size, steps).stdout.strip()
    answer = robotrain("resubmit", first, "--", "--policy.n_action_steps=8")
    assert "--policy.n_action_steps: 12 → 8" in answer.stderr
    stored = plans.read_stored_plan(answer.stdout.strip())
    assert stored.plan.job.trainer_args == (size, "--policy.n_action_steps=8")
    origins = {row["value"]: row["origin"] for row in stored.values if row["name"] == "trainer_args"}
    assert set(origins.values()) == {"flag after --"}
    assert robotrain("resubmit", "--dry-run", "--", size).exit_code == 0, "of the newest run"
    robotrain("resubmit", first, "--", "--policy.chunk_sise=8").check_problems(
        2, "script-option-invalid -- --policy.chunk_sise=8"
    )


def test_value_that_resubmit_takes_in_another_way_is_answered_with_the_line(robotrain, sent_run):
    for words, problem in (
        (("--policy.chunk_size=8",), "option-unknown --policy.chunk_size"),
        (("--batch-size", "8"), "option-unknown --batch-size"),
        (("--set", "policy.n_action_steps=8"), "value-unknown --set policy.n_action_steps"),
        (("--", "--batch-size=8"), "option-elsewhere after -- --batch-size"),
        (("--", "--name", "mine"), "option-elsewhere after -- --name"),
        (("--", "--policy.type=diffusion"), "option-owned after -- --policy.type"),
    ):
        robotrain("resubmit", sent_run, *words).check_problems(2, problem)


def test_resubmit_keeps_the_order_of_the_datasets(robotrain, fake_platform, pusht, tmp_path):
    other, blob = shutil.copytree(pusht, tmp_path / "other"), "https://account.blob.core.windows.net/data/p"
    several = ("--dataset-path", other, "--blob-url", blob, "--dataset-path", pusht)
    run = robotrain("submit", "--platform", "fake", *several, "--no-pin").stdout.strip()
    again = robotrain("resubmit", run, "--set", "batch_size=4", "--no-pin").stdout.strip()
    before, after = (
        [source.uri for source in plans.read_stored_plan(run_name).plan.job.sources] for run_name in (run, again)
    )
    assert before == after == [str(other), blob, str(pusht)]


def test_resubmit_of_a_damaged_or_removed_plan_is_refused(robotrain, sent_run):
    (stored_job.get_plan_folder(sent_run) / "job.json").write_text("{}")
    robotrain("resubmit", sent_run).check_problems(2, "plan-not-kept")
    shutil.rmtree(stored_job.get_plan_folder(sent_run))
    robotrain("resubmit", sent_run).check_problems(2, "plan-not-kept")


def test_resubmit_continues_an_interrupted_submit(robotrain, fake_platform, job_words):
    with answer_submits(fake_platform, "takes it and hangs up"):
        robotrain("submit", *job_words)
    (left,) = records.list_runs()
    answer = robotrain("resubmit")
    assert answer.stdout.strip() == left
    answer.check_problems(0, "run-adopted")
    assert (fake_platform / "jobs" / left).read_text().split() == [records.read_record(left).plan]


def test_resubmit_does_not_continue_an_interrupted_submit_with_another_payload(
    robotrain, fake_platform, sent_run, job_words, newer_payload
):
    (fake_platform / "others.json").write_text('{"state": "failed"}')
    with answer_submits(fake_platform, "hangs up"):
        robotrain("submit", *job_words, "--no-pin")
    answer = robotrain("resubmit", sent_run)
    assert answer.stdout.strip() == sent_run[:-1] + "3"
    answer.check_problems(0, "run-interrupted")
    assert robotrain("submit", *job_words, "--no-pin").stdout.strip() == sent_run[:-1] + "2"


def test_resubmit_with_new_leaves_an_interrupted_submit(robotrain, fake_platform, job_words):
    with answer_submits(fake_platform, "hangs up"):
        robotrain("submit", *job_words)
    assert robotrain("resubmit", "--new").stdout.strip() == records.list_runs()[-1][:-1] + "2"


def test_resubmit_refuses_an_invalid_value_and_a_misspelt_name(robotrain, sent_run):
    answer = robotrain("resubmit", sent_run, "--set", "batch_size=none", "--set", "bacth_size=3")
    answer.check_problems(2, "value-invalid --set batch_size", "value-unknown --set bacth_size")


def test_resume_continues_from_the_last_checkpoint_of_the_run_as_a_new_run(robotrain, fake_platform, sent_run):
    set_run_state(fake_platform, sent_run, state="failed", checkpoints=[2, 4])
    answer = robotrain("resume", sent_run, "--training-steps", "20")
    run = answer.stdout.strip()
    answer.check(0, f"step 4 of {sent_run}", "training_steps: 7 → 20", f"robotrain logs -f {run}")
    job = plans.read_stored_plan(run).plan.job
    assert job["training_steps"] == 20
    (source,) = [source for source in job.sources if source.role == "resume"]
    assert source.uri == f"/fake/{sent_run}/checkpoints/000004"
    result = {value["name"]: (value["value"], value["origin"]) for value in plans.read_stored_plan(run).values}
    assert result["resume"] == (f"local_path {source.uri}", f"run {sent_run}")
    assert robotrain("resubmit", run, "--set", "batch_size=4").exit_code == 0
    set_run_state(fake_platform, run, state="failed", checkpoints=[8])
    second = robotrain("resume", run, "--set", "batch_size=4").stdout.strip()
    sources = plans.read_stored_plan(second).plan.job.sources
    assert [source.uri for source in sources if source.role == "resume"] == [f"/fake/{run}/checkpoints/000008"]


def test_resume_needs_another_branch_of_the_hub(robotrain, fake_platform, install, pusht):
    install("robotrain-hub", {"platform.hub": "hub_plugin"}, hub_plugin=HUB_PLATFORM)
    to = ("--publish-url", "hf://me/act@first", "--no-pin")
    run = robotrain("submit", "--platform", "hub", "--dataset-path", pusht, *to).stdout.strip()
    log = [format_event(Checkpoint(step=4, path="/tmp/000004"))]
    set_run_state(fake_platform, run, state="cancelled", checkpoints=[4], log=log)
    robotrain("resume", run).check_problems(2, "publish-branch-taken")
    line = ("submit", "--platform", "hub", "--dataset-path", pusht, *to, "--dry-run")
    robotrain(*line).check_problems(0, "run-left-checkpoint")
    robotrain("resume", run, "--set", "publish_url=hf://me/act@second").check(0)


def test_resubmit_needs_another_branch_of_the_hub_once_the_run_has_it(robotrain, fake_platform, install, pusht):
    install("robotrain-hub", {"platform.hub": "hub_plugin"}, hub_plugin=HUB_PLATFORM)
    to = ("--publish-url", "hf://me/act", "--no-pin")
    run = robotrain("submit", "--platform", "hub", "--dataset-path", pusht, *to).stdout.strip()
    set_run_state(fake_platform, run, state="failed")
    robotrain("resubmit", run, "--dry-run").check(0)  # it never came to a checkpoint
    set_run_state(
        fake_platform, run, state="failed", log=[format_event(Published(step=4, to="hf://me/act@step-000004"))]
    )
    for words in ((), ("--set", "publish_url=hf://me/act")):
        robotrain("resubmit", run, *words).check_problems(2, "publish-branch-taken")
    robotrain("resubmit", run, "--set", "publish_url=hf://me/act@second").check(0)


FAR_PLATFORM = """
from dataclasses import replace
from fake_plugin import FAKE, FakeEngine
from robotrain.plugin import hook


class FarEngine(FakeEngine):

    def is_remote_folder(self, source, settings):
        return source.kind == "local_path"


FAR = replace(
    FAKE,
    name="far",
    engine_class=FarEngine,
)


@hook
def robotrain_platforms():
    return [FAR]
"""


def test_resume_reads_no_folder_here_for_one_of_a_cluster(robotrain, fake_platform, install, pusht, tmp_path):
    install("robotrain-far", {"platform.far": "far_plugin"}, far_plugin=FAR_PLATFORM)
    place = tmp_path / "published"
    words = ("--dataset-path", pusht, "--publish-url", place, "--no-pin")
    run = robotrain("submit", "--platform", "far", *words).stdout.strip()
    set_run_state(fake_platform, run, state="failed", checkpoints=[])
    answer = robotrain("resume", run, "--dry-run")
    answer.check(0, str(place))


def test_the_newest_run_to_resume_is_one_with_a_checkpoint(robotrain, fake_platform, job_words):
    older, newer = (
        robotrain("submit", *job_words, "--name", "pick-v3", "--seed", seed).stdout.strip() for seed in (1, 2)
    )
    set_run_state(fake_platform, older, state="failed", checkpoints=[2, 4])
    set_run_state(fake_platform, newer, state="cancelled")
    for words in ([], ["latest"]):
        robotrain("resume", *words, "--dry-run").check(0, f"latest is {older}", f"step 4 of {older}")
    robotrain("resume", "pick-v3").check_problems(2, "checkpoint-missing")


def test_resume_continues_from_the_checkpoint_of_a_step(robotrain, fake_platform, sent_run):
    set_run_state(fake_platform, sent_run, state="failed", checkpoints=[2, 4])
    robotrain("resume", sent_run, "--resume-from", "2", "--dry-run").check(0, f"resuming from step 2 of {sent_run}")
    answer = robotrain("resume", sent_run, "--resume-from", "3")
    answer.check_problems(2, "checkpoint-missing --resume-from")
    assert "Its checkpoints: 2, 4." in answer.stderr
    for flag in ("--from", "--step", "--checkpoint", "--from-step"):
        answer = robotrain("resume", sent_run, flag, "2")
        answer.check_problems(2, f"option-unknown {flag}")
    answer = robotrain("outputs", sent_run, "--step", "2")
    answer.check_problems(2, "step-unknown --step")


def test_interrupted_resume_is_reconciled(robotrain, fake_platform, sent_run):
    set_run_state(fake_platform, sent_run, state="failed", checkpoints=[2, 4])
    with answer_submits(fake_platform, "takes it and hangs up"):
        robotrain("resume", sent_run, "--training-steps", "20")
    left = records.list_runs()[0]
    answer = robotrain("resume")  # the newest: that one
    answer.check_problems(2, "run-adopted", "run-goes-on")
    assert records.read_record(left).phase == "sent"
    assert len((fake_platform / "jobs" / left).read_text().split()) == 1


def test_resume_refuses_an_unfinished_run_and_one_without_a_checkpoint(robotrain, fake_platform, sent_run):
    going = robotrain("resume", sent_run)
    going.check_problems(2, "run-goes-on")
    assert "saves a checkpoint" not in going.stderr  # only some platforms do on a cancel
    set_run_state(fake_platform, sent_run, state="failed")
    robotrain("resume", sent_run).check_problems(2, "checkpoint-missing")


def test_register_prints_the_version_and_refuses_a_missing_or_invalid_name(robotrain, fake_platform, sent_run):
    assert "pusht version 1" in robotrain("register", sent_run, "pusht").stdout
    robotrain("register", sent_run, "pusht", "--step", "4").check_problems(2, "checkpoint-missing --step")
    set_run_state(fake_platform, sent_run, checkpoints=[4])
    assert robotrain("register", sent_run, "pusht", "--step", "4", "--json").json == {
        "model": "pusht",
        "version": "1",
        "step": 4,
        "uri": "models:/pusht/1",
        "scores": {},
        "conditions": "",
        "new": True,
        "replaced": None,
    }
    robotrain("register", sent_run).check_problems(2, "value-missing")
    end = format_event(Outcome(state="succeeded", exit_code=0))
    set_run_state(fake_platform, sent_run, state="succeeded", log=[end])
    robotrain("register", sent_run, "pusht").check_problems(2, "checkpoint-missing")
    (missing,) = robotrain("register", "--json").json["problems"]
    assert [way["text"] for way in missing["instead"]] == ["robotrain register RUN [MODEL]"]
    refused = robotrain("register", sent_run, "no/name")
    assert (refused.exit_code, "registering" in refused.stderr) == (2, False)


def test_dry_run_cannot_be_followed(robotrain, job_words, sent_run):
    robotrain("submit", *job_words, "--dry-run", "--wait").check_problems(2, "options-conflict --dry-run")
    robotrain("resubmit", sent_run, "--dry-run", "--stream").check_problems(2, "options-conflict --dry-run")


def test_stream_shows_the_log_and_ends_like_wait(robotrain, fake_platform, job_words, sent_run):
    steps = [format_event(Metrics(step=step, total=3, values={"train/loss": 1 / step})) for step in (1, 3)]
    state = {"state": "succeeded", "log": ["hello", format_event(StageEvent(name="work", state="started")), *steps]}
    (fake_platform / "others.json").write_text(json.dumps(state))
    for words in (("submit", *job_words, "--new"), ("resubmit", sent_run)):
        answer = robotrain(*words, "--stream")
        assert answer.exit_code == 0, answer.stderr
        for line in ("hello", "[robotrain] work: started"):
            assert line in answer.stderr.splitlines()
        assert "succeeded" in answer.stdout


def test_resume_to_more_steps_names_the_parameter_that_counts_them(robotrain, fake_platform):
    line = ("--param", "max_steps=9", "--param", "lr=1", "--", "true", "{max_steps}", "{lr}")
    run = robotrain("submit", "command", "--platform", "fake", *line).stdout.strip()
    robotrain("resume", run, "--steps", "20").check_problems(2, "value-unknown")


@pytest.fixture
def finished_program(robotrain, fake_platform):
    """A run of a program of the user's own that has succeeded."""
    command = ("python", "/opt/train.py", "--epochs", "3", "--lr", "1", "--out", "{outputs}")
    options = ("--platform", "fake", "--resume-args", '["--resume", "{resume}"]')
    run = robotrain("submit", "command", *options, "--", *command).stdout.strip()
    set_run_state(fake_platform, run, state="succeeded", checkpoints=[2, 3])
    return run


def test_a_finished_program_trains_on_with_more_steps(robotrain, finished_program):
    robotrain("resume", finished_program).check_problems(2, "run-complete")
    assert robotrain("resume", finished_program, "--", "--epochs", "9").exit_code == 0
    assert robotrain("resume", finished_program, "--resume-from", "2").exit_code == 0


def test_resume_skips_a_damaged_checkpoint(tmp_path):
    outputs = []
    for step in (2, 4):
        folder = tmp_path / f"{step:06}"
        folder.mkdir()
        (folder / "model").write_text(f"weights of step {step}")
        digest = checkpoint.seal_checkpoint(folder, step=step, run="train-1", job="j").digest
        name = f"checkpoints/{step:06}"
        output = Output(name=name, kind="checkpoint", source="local_path", uri=str(folder), step=step, digest=digest)
        outputs.append(output)
    messages = []
    here, there = (SimpleNamespace(is_remote_folder=lambda source, far=far: far) for far in (False, True))
    assert resume.find_last_intact_checkpoint(outputs, here, messages.append).step == 4
    (tmp_path / "000004/model").write_text("torn")
    elsewhere = [locate_output(output, "me@cluster") for output in outputs]
    assert resume.find_last_intact_checkpoint(elsewhere, here, messages.append).uri == f"me@cluster:{tmp_path}/000004"
    assert resume.find_last_intact_checkpoint(outputs, there, messages.append).step == 4, "it is on another machine"
    assert resume.find_last_intact_checkpoint(outputs, here, messages.append).step == 2
    assert (len(messages), f"{tmp_path}/000004/model" in messages[0]) == (1, True)
