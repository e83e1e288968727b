"""Pins: what a moving name meant when the job was sent, and what becomes of it a year later."""

import json
import shutil
from dataclasses import replace

import pytest
from fake_engine import answer_submits
from robotrain.model.platform_features import Uploads
from robotrain.store import plans, stored_job
from robotrain.submission.resubmit import remove_plan_pins

STONE_KIND = """
import os
from pathlib import Path
from dataclasses import dataclass
from typing import ClassVar
from robotrain.plugin import Pinning, RoleFlag, SourceError, SourceKind, SourceNotFound, SourceUnreachable, hook

@dataclass(frozen=True)
class Stone:
    kind: ClassVar[str] = "stone"
    name: str
    def __str__(self): return self.name

def now(source, role):
    said = Path(os.environ["STONE_ANSWER"]).read_text()
    if said == "silent":
        raise SourceError("The server does not answer.")
    if said == "denied":
        raise SourceUnreachable("This machine has no access.")
    if said == "missing":
        raise SourceNotFound("There is no such stone.")
    return f"{role}-{said}"

def gone(source, role, pin):
    return "" if now(source, role) == pin else f"It is {now(source, role)} by now."

def lacks(source, role, paths):
    if Path(os.environ["STONE_ANSWER"]).read_text() == "unreadable":
        raise OSError("it cannot be read")
    return paths if source.name == "hollow" else ()

@hook
def robotrain_source_kinds():
    return [SourceKind(name="stone", title="stones", form="STONE", help="A stone.",
        roles={"dataset": RoleFlag("--stone")}, recognizes=lambda text: True, parse=lambda text, base: Stone(text),
        pinning=Pinning(now, gone, lacks))]
"""


@pytest.fixture
def stone_server(install, fake_platform, tmp_path, monkeypatch):
    """Install the kind of stones, which the fake platform takes; the file with what its server answers."""
    install("robotrain-stones", {"source.stone": "stone_kind"}, stone_kind=STONE_KIND)
    import fake_plugin

    monkeypatch.setattr(fake_plugin, "KINDS", (*fake_plugin.KINDS, "stone"))
    from robotrain.model.support import YES

    monkeypatch.setitem(fake_plugin.FAKE.capabilities.sources, ("dataset", "stone"), YES)
    path = tmp_path / "answer"
    path.write_text("v1")
    monkeypatch.setenv("STONE_ANSWER", str(path))
    return path


JOB = ("--platform", "fake", "--stone", "basalt", "--policy-type", "tdmpc")


def pins(run):
    return [source.pin for source in plans.read_stored_plan(run).plan.job.sources]


def test_submit_pins_unless_no_pin_is_given(robotrain, stone_server):
    assert pins(robotrain("submit", *JOB).stdout.strip()) == ["dataset-v1"]
    assert pins(robotrain("submit", *JOB, "--no-pin", "--new").stdout.strip()) == [""]


def test_pin_is_in_the_document_and_not_in_the_name(robotrain, stone_server):
    first = robotrain("submit", *JOB).stdout.strip()
    stone_server.write_text("v2")
    second = robotrain("submit", *JOB).stdout.strip()
    assert second == first[:-1] + "2"
    document = json.loads((stored_job.get_plan_folder(second) / "job.json").read_text())
    assert document["sources"][0]["pin"] == "dataset-v2"


def test_render_resolves_only_with_pin(robotrain, stone_server):
    stone_server.write_text("silent")
    assert '"pin": ""' in robotrain("render", *JOB).stdout
    assert robotrain("render", *JOB, "--pin").exit_code == 4
    stone_server.write_text("v1")
    answer = robotrain("render", *JOB, "--pin")
    assert '"pin": "dataset-v1"' in answer.stdout


def test_source_without_access_is_submitted_unpinned_with_a_warning(robotrain, stone_server):
    stone_server.write_text("denied")
    answer = robotrain("submit", *JOB)
    answer.check_problems(0, "not-pinned dataset basalt")
    assert pins(answer.stdout.strip()) == [""]
    robotrain("render", *JOB, "--pin").check_problems(4, "not-pinned dataset basalt")


def test_warning_about_many_sources_is_printed_once(robotrain, stone_server):
    stone_server.write_text("denied")
    stones = [word for number in range(6) for word in ("--stone", f"basalt-{number}")]
    answer = robotrain("submit", "--platform", "fake", *stones)
    answer.check_problems(0, "not-pinned")
    assert answer.stderr.count("This machine has no access.") == 1


def test_unanswered_pin_stops_the_submit_and_no_pin_is_suggested(robotrain, stone_server):
    stone_server.write_text("silent")
    answer = robotrain("submit", *JOB)
    answer.check_problems(4, "pin-unknown dataset basalt")
    assert "--no-pin" in answer.stderr
    assert robotrain("submit", *JOB, "--no-pin").exit_code == 0


def test_pipelines_and_sweeps_take_no_pin(robotrain, stone_server, fake_platform, tmp_path):
    steps = "steps: {a: {workload: WORKLOAD, sources: {dataset: [{stone: basalt}]}}}"
    file = tmp_path / "pipeline.yaml"
    file.write_text(steps.replace("WORKLOAD", "lerobot-train"))
    stone_server.write_text("silent")
    for words in (("pipeline", "submit", file, "--platform", "fake"), ("sweep", *JOB, "--over", "seed=1,2")):
        refused = robotrain(*words, "--dry-run")
        assert (refused.exit_code, "--no-pin" in refused.stderr) == (4, True)
        sent = robotrain(*words, "--no-pin", "--dry-run", "--json")
        assert sent.exit_code == 0, sent.stderr
        assert json.loads(sent.json["files"]["pipeline.json"]["text"])["unpinned"] is True


def test_missing_source_is_one_problem_without_no_pin(robotrain, stone_server, fake_platform):
    stone_server.write_text("missing")
    (fake_platform / "unseen").write_text("basalt")
    answer = robotrain("submit", *JOB)
    answer.check_problems(4, "source-missing dataset basalt")
    assert "--no-pin" not in answer.stderr
    assert "source-unreachable" not in answer.stderr
    stone_server.write_text("v1")
    assert "source-unreachable" in robotrain("submit", *JOB).stderr


def test_unreadable_source_is_one_problem(robotrain, stone_server, fake_platform):
    stone_server.write_text("silent")
    (fake_platform / "unread").write_text("basalt")
    (problem,) = [
        problem for problem in robotrain("submit", *JOB, "--json").json["problems"] if problem["severity"] == "error"
    ]
    assert (problem["code"], problem["given"]) == ("pin-unknown", "basalt")


def test_unreadable_pinned_source_is_one_problem(robotrain, stone_server, fake_platform):
    run = robotrain("submit", *JOB).stdout.strip()
    stone_server.write_text("silent")
    for words in ((), ("--repin",)):
        (fake_platform / "unread").write_text("basalt")
        answer = robotrain("resubmit", run, *words, "--json")
        (problem,) = [problem for problem in answer.json["problems"] if problem["severity"] == "error"]
        assert (problem["code"], problem["given"].split()[0]) == ("pin-unknown", "basalt")
        (fake_platform / "unread").unlink()
        assert "--no-pin" in robotrain("resubmit", run, *words).stderr, words


def test_source_without_dataset_files_is_refused_if_it_can_be_listed(robotrain, stone_server):
    answer = robotrain("submit", "--platform", "fake", "--stone", "hollow", "--stone", "basalt")
    answer.check_problems(4, "source-undescribed dataset hollow")
    assert "--no-pin" not in answer.stderr
    stone_server.write_text("unreadable")  # what cannot be listed is submitted
    assert robotrain("submit", "--platform", "fake", "--stone", "hollow").exit_code == 0


def test_local_folder_that_is_no_dataset_is_refused(robotrain, fake_platform, pusht, tmp_path):
    junk, there = tmp_path / "junk", ("--dataset-path", tmp_path / "no-such-folder")
    (junk / "meta").mkdir(parents=True)
    answer = robotrain("submit", "--platform", "fake", "--dataset-path", junk)
    answer.check_problems(4, f"source-undescribed dataset {junk}", "data-unusable")
    shutil.copy(pusht / "meta/info.json", junk / "meta/info.json")
    assert robotrain("submit", "--platform", "fake", "--dataset-path", junk).exit_code == 0
    assert robotrain("submit", "--platform", "fake", *there).exit_code == 0  # it may lie where the job runs


def test_local_platform_checks_the_dataset_once(robotrain, tmp_path):
    (tmp_path / "junk").mkdir()
    answer = robotrain("submit", "--platform", "local", "--dataset-path", tmp_path / "junk")
    assert answer.exit_code == 4
    assert answer.stderr.count("meta/info.json") == 1


def test_resubmit_keeps_the_pin_or_reports_that_it_is_gone(robotrain, stone_server):
    run = robotrain("submit", *JOB).stdout.strip()
    assert pins(robotrain("resubmit", run).stdout.strip()) == ["dataset-v1"]
    stone_server.write_text("v2")
    for words in ((), ("--set", "batch_size=4")):
        robotrain("resubmit", run, *words).check_problems(4, "pin-gone dataset basalt")
    anew = robotrain("resubmit", run, "--repin")
    assert "dataset: stone basalt @ dataset-v1 → stone basalt" in anew.stderr
    assert pins(anew.stdout.strip()) == ["dataset-v2"]


def test_uploaded_source_need_not_exist_any_more(robotrain, stone_server, monkeypatch):
    run = robotrain("submit", *JOB).stdout.strip()
    stone_server.write_text("v2")
    monkeypatch.setattr(Uploads, "find_uploaded", lambda self, plan: plan.job.sources)
    assert pins(robotrain("resubmit", run).stdout.strip()) == ["dataset-v1"]
    monkeypatch.setattr(Uploads, "find_uploaded", lambda self, plan: ["basalt"])
    assert robotrain("resubmit", run).exit_code == 4


def test_repin_is_not_suggested_for_a_missing_folder(robotrain, fake_platform, pusht, tmp_path):
    info = (pusht / "meta/info.json").read_text()
    (tmp_path / "data/meta").mkdir(parents=True)
    (tmp_path / "data/meta/info.json").write_text(info)
    run = robotrain("submit", "--platform", "fake", "--dataset-path", tmp_path / "data").stdout.strip()
    (tmp_path / "data/meta/info.json").write_text(f"{info} ")
    assert "--repin" in robotrain("resubmit", run).stderr
    shutil.rmtree(tmp_path / "data")
    answer = robotrain("resubmit", run)
    answer.check_problems(4, f"pin-gone dataset {tmp_path / 'data'}")
    assert "--repin" not in answer.stderr


def test_repin_drops_the_tags_of_the_earlier_version(robotrain, stone_server):
    stored = plans.read_stored_plan(robotrain("submit", *JOB).stdout.strip())
    tagged = tuple(replace(source, tags=("task=a",)) for source in stored.plan.job.sources)
    stored = replace(stored, plan=replace(stored.plan, job=replace(stored.plan.job, sources=tagged)))
    (source,) = remove_plan_pins(stored).plan.job.sources
    assert (source.pin, source.tags) == ("", ())


def test_lost_pin_does_not_prevent_reconciling_a_submit(robotrain, stone_server, fake_platform):
    with answer_submits(fake_platform, "takes it and hangs up"):
        robotrain("submit", *JOB)
    stone_server.write_text("v2")
    robotrain("resubmit").check_problems(0, "run-adopted")


def test_resubmit_does_not_continue_a_submit_with_another_pin(robotrain, stone_server, fake_platform):
    run = robotrain("submit", *JOB).stdout.strip()
    stone_server.write_text("v2")
    with answer_submits(fake_platform, "takes it and hangs up"):
        robotrain("submit", *JOB)
    stone_server.write_text("v1")
    answer = robotrain("resubmit", run)
    answer.check_problems(0, "run-interrupted")
    assert pins(answer.stdout.strip()) == ["dataset-v1"]


def test_no_pin_is_suggested_for_a_changed_run(robotrain, stone_server):
    run = robotrain("submit", *JOB, "--no-pin").stdout.strip()
    stone_server.write_text("silent")
    robotrain("resubmit", run, "--set", "batch_size=4").check(4, "--no-pin")
    assert robotrain("resubmit", run, "--set", "batch_size=4", "--no-pin").exit_code == 0


def test_failing_source_kind_is_one_problem_for_all_sources(robotrain, stone_server):
    stone_server.unlink()
    robotrain("submit", *JOB, "--stone", "marble").check_problems(4, "pin-unknown dataset basalt, marble")
