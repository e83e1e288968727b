"""What a platform leaves to core whose jobs a command sends."""

import os
from types import MappingProxyType, SimpleNamespace

import pytest
from messages import check_rejected
from planned_jobs import job
from robotrain.errors import Problem, Rejected, Stage, Unanswered
from robotrain.model.plan import Plan
from robotrain.plugin import SchedulerPlatform, SchedulerSettings, SubmitCall

SEND = """#!/bin/sh
case $1 in
    refused) echo "send: no such queue"; exit 1 ;;
    silent) echo "send: end of file"; exit 1 ;;
esac
echo 1 >> "$SENT"
echo "job-$(wc -l < "$SENT")"
"""


class SendPlatform(SchedulerPlatform):
    name = "engine"
    states = MappingProxyType({})
    settle_seconds = 0.0

    def __init__(self, folder, queue="any"):
        self.folder, self.queue, self.known = folder, queue, ""

    def get_run_folder(self, plan):
        return self.folder / plan.run

    def make_submit_call(self, folder):
        return SubmitCall(folder / "send.txt", r"(?m)^(job-\d+)$", "end of file")

    def list_submit_words(self, plan):
        return [self.queue]

    def search_job(self, plan):
        return self.known

    def make_refusal(self, plan, answer):
        return Rejected([Problem(code="refused", stage=Stage.SUBMIT, title=answer.strip())])


@pytest.fixture
def platform(tmp_path, monkeypatch):
    program = tmp_path / "bin/send"
    program.parent.mkdir()
    program.write_text(SEND)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SENT", str(tmp_path / "sent"))
    return SendPlatform(tmp_path / "runs")


@pytest.fixture
def plan():
    files = {"job.json": b"{}", "payload.zip": b"PK\x05\x06" + bytes(18)}  # an archive of nothing
    return Plan(platform="engine", run="r-1", job=SimpleNamespace(sources=()), spec="job.json", files=files)


def count_sent(platform):
    sent = platform.folder.with_name("sent")
    return len(sent.read_text().split()) if sent.exists() else 0


def test_job_is_sent_and_found(platform, plan):
    assert platform.find(plan) is None
    reference = platform.submit(plan)
    assert reference == {"folder": str(platform.folder / "r-1"), "job": "job-1"} == platform.find(plan)
    with check_rejected("run-folder-taken"):
        platform.submit(plan)
    assert count_sent(platform) == 1


def test_refused_job_leaves_nothing(platform, plan):
    platform.queue = "refused"
    with check_rejected("refused"):
        platform.submit(plan)
    assert [*platform.folder.iterdir()] == []
    assert platform.find(plan) is None


def test_unanswered_job_is_searched(platform, plan):
    platform.queue = "silent"
    with pytest.raises(Unanswered):
        platform.submit(plan)
    platform.known = "job-7"
    assert platform.find(plan)["job"] == "job-7"
    platform.known = ""
    assert platform.find(plan) is None
    platform.queue = "any"
    assert platform.submit(plan)["job"] == "job-1"


def test_job_that_has_begun_is_found_by_its_claim(platform, plan):
    platform.queue = "silent"
    with pytest.raises(Unanswered):
        platform.submit(plan)
    (platform.folder / "r-1/taken").symlink_to("job-9:token:1")
    assert platform.find(plan)["job"] == "job-9"


def test_folder_that_cannot_be_created_is_a_problem(platform, plan):
    platform.folder.write_text("a file")
    with pytest.raises(Rejected) as refused:
        platform.submit(plan)
    assert refused.value.problems[0].code == "run-folder-refused"
    assert count_sent(platform) == 0


def test_step_that_registers_a_policy_asks_for_little(tmp_path):
    given = SchedulerSettings(gpus=2, cpus=16, memory="64G", time="1h")
    chosen, _ = SendPlatform(tmp_path).choose_registration_settings(job(), given, {"time"})
    assert (chosen.gpus, chosen.cpus, chosen.memory, chosen.time) == (0, 2, "8G", "1h")
    chosen, _ = SendPlatform(tmp_path).choose_registration_settings(job(), given, {"gpus", "memory"})
    assert (chosen.gpus, chosen.memory) == (2, "64G"), "what its user gave it"
