"""What a engine leaves to core whose jobs a command sends, each exactly once."""

import contextlib
import fcntl
import os
import subprocess
import threading
import time

import pytest
from planned_jobs import job
from problem_assertions import check_problems, check_rejected
from robotrain.errors import Problem, Rejected, Stage, Unanswered
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Payload
from robotrain.model.platform import Platform
from robotrain.plugin import FoundJob, SchedulerCommands, SchedulerEngine, SchedulerSettings
from robotrain.run_folder import submit_script
from robotrain.run_folder.facts import read_facts
from robotrain.testing.submit_cuts import CUT, SubmitScript, list_cuts
from robotrain_runtime.contract import event

SEND = """#!/bin/sh
state=waits needs=-
case $1 in
    --hold) state=held; shift ;;
    --after) needs=$2; shift 2 ;;
esac
case $MOOD in
    refuses) echo "send: no such queue"; exit "${CODE:-1}" ;;
    silent) echo "send: end of file"; exit 1 ;;
    hangs) exec sleep 60 ;;
esac
echo "$1 $2 $state $needs" >>"$QUEUE"
echo "job-$(wc -l <"$QUEUE")"
"""
RELEASE = """#!/bin/sh
[ "$MOOD" != silent ] || { echo "free: end of file" >&2; exit 1; }
sed -i "${1#job-}s/held/waits/" "$QUEUE"
"""


class SendEngine(SchedulerEngine):
    commands = SchedulerCommands(engine="Engine", away_pattern="end of file", ping="ping")
    submit_command, job_pattern, job_variable = "send", r"^(job-[0-9]+)$", "JOB"
    output_file = "engine.txt"
    hold_words, dependency_words, job_separator = ("--hold",), ("--after", "{jobs}"), ","
    release_command = ("free",)
    settle_seconds = 0.0

    def __init__(self, folder):
        super().__init__(Platform(name="engine", engine_class=SendEngine, cancel_command="unsend {job}"))
        self.runs, self.queue = folder / "runs", folder / "queue"
        self.stopped, self.refusal = [], ""

    def make_submit_words(self, job, settings, sent):
        return [sent.name, sent.token]

    def search_jobs(self, jobs):
        for number, line in enumerate(self.read_queue(), 1):
            name, token, state, needs = line.split()
            held = state == "held"
            yield FoundJob(
                job=f"job-{number}", name=name, token=token, is_waiting=True, is_held=held, needs=needs.split(",")
            )

    def make_refusal(self, plan, job, answer):
        return Problem(code="refused", stage=Stage.SUBMIT, title=answer.strip())

    def stop_jobs(self, jobs, how):
        self.stopped += jobs
        return self.refusal

    def read_queue(self):
        return self.queue.read_text().splitlines() if self.queue.exists() else []


@pytest.fixture
def engine(tmp_path, monkeypatch):
    for name, text in (("send", SEND), ("free", RELEASE)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("QUEUE", str(tmp_path / "queue"))
    return SendEngine(tmp_path)


@pytest.fixture
def mood(monkeypatch):
    return lambda word: monkeypatch.setenv("MOOD", word)


PAYLOAD = Payload(archive=b"PK\x05\x06" + bytes(18))  # of nothing


def make_settings(engine, runs="runs"):
    folder = engine.runs.with_name(runs)
    return SchedulerSettings(runs_dir=str(folder), cache_dir=str(folder.with_name("cache")))


def render(engine, runs="runs"):
    return engine.render(job(), make_settings(engine, runs), "r-1", PAYLOAD, {})


def render_pipeline(engine, runs="runs"):
    parts = {"job": job(), "settings": make_settings(engine, runs), "payload": PAYLOAD, "container_plugins": {}}
    steps = [
        PipelineStep(name="one", takes={}, **parts),
        PipelineStep(name="two", takes={}, needs=("one",), **parts),
        PipelineStep(name="three", takes={}, needs=("one", "two"), **parts),
    ]
    return engine.render_pipeline(steps, job(), "r-1", {})


@pytest.fixture
def plan(engine):
    return render(engine)


@pytest.fixture
def answer(engine):
    """The file of the submit command's answer."""
    return engine.runs / "r-1/send-r-1.txt"


def test_job_is_sent_and_found(engine, plan):
    assert engine.find(plan) is None
    assert [*engine.check_run_folder(plan)] == []
    reference = engine.submit(plan)
    assert reference == {"run": "r-1", "folder": str(engine.runs / "r-1"), "job": "job-1"} == engine.find(plan)
    check_problems([*engine.check_run_folder(plan)], "run-folder-taken")
    assert engine.submit(plan) == reference, "a submit whose line was lost had sent it"
    assert len(engine.read_queue()) == 1


@pytest.mark.parametrize("code", [1, 255, 15036 % 256])
def test_refused_job_leaves_nothing(engine, plan, mood, monkeypatch, code):
    """Of PBS the code is the number of an error, which may be above those of signals."""
    monkeypatch.setenv("CODE", str(code))
    mood("refuses")
    with check_rejected("refused"):
        engine.submit(plan)
    assert [*engine.runs.iterdir()] == []
    assert engine.find(plan) is None


@pytest.mark.parametrize("code", [0, 1, 126, 143, 255])
def test_a_command_may_end_with_any_exit_code(code):
    """LSF's end with 255 for any error, and so does ssh when it loses the line."""
    done = SendEngine.commands.run("sh", "-c", f"echo no such job >&2; exit {code}")
    assert (done.exit_code, done.stderr) == (code, "no such job\n")


def test_unanswered_job_is_searched(engine, plan, mood):
    mood("silent")
    with pytest.raises(Unanswered) as unanswered:
        engine.submit(plan)
    check_problems(unanswered.value.problems, "platform-away")
    assert engine.find(plan) is None
    engine.queue.write_text(f"r-1 other waits -\nr-1 {engine.load_spec(plan).jobs[0].token} waits -\n")
    assert engine.find(plan)["job"] == "job-2"


def test_job_that_has_begun_is_found_by_its_claim(engine, plan, mood):
    mood("silent")
    with pytest.raises(Unanswered):
        engine.submit(plan)
    (engine.runs / "r-1/taken").symlink_to("job-9:token:1")
    assert engine.find(plan)["job"] == "job-9"


def test_folder_that_cannot_be_created_is_a_problem(engine, plan):
    engine.runs.write_text("a file")
    with pytest.raises(Rejected) as refused:
        engine.submit(plan)
    check_problems(refused.value.problems, "run-folder-refused")
    assert engine.read_queue() == []


def test_two_submits_that_create_the_folder_at_once_send_one_job(engine, plan, monkeypatch):
    script = SubmitScript(monkeypatch)
    with script.kill_at(before='cd "$folder"'), pytest.raises(Unanswered):
        engine.submit(plan)
    folder = engine.runs / plan.run
    folder.rename(folder.with_name("other"))
    # the other submit is done first: it takes what this one writes for left behind, and removes it
    first = f'mv "$parent/other" "{folder}"; rm -rf "$part"'
    with script.kill_at(before='  head -c "$bytes"', cut=first):
        assert engine.submit(plan)["job"] == "job-1"
    assert len(engine.read_queue()) == 1
    assert [path.name for path in engine.runs.iterdir()] == [plan.run]


@pytest.mark.slow  # needs flock
def test_submit_waits_for_the_command_of_another_one_and_takes_its_job(engine, plan, answer, mood, monkeypatch):
    with SubmitScript(monkeypatch).kill_at(before="send "), pytest.raises(Unanswered):
        engine.submit(plan)
    with answer.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def end_other() -> None:
            time.sleep(0.5)
            answer.write_text("job-7\n")
            fcntl.flock(file, fcntl.LOCK_UN)

        other = threading.Thread(target=end_other)
        other.start()
        assert engine.submit(plan)["job"] == "job-7"
        other.join()
    assert engine.read_queue() == []


def test_run_folder_of_another_plan_is_not_touched(engine, plan):
    (engine.runs / "r-1").mkdir(parents=True)
    with check_rejected("run-folder-taken"):
        engine.submit(plan)
    assert engine.find(plan) is None
    assert engine.read_queue() == []


def test_submit_command_that_was_killed_after_a_warning_may_have_sent_the_job(engine, plan, answer, monkeypatch):
    kill = f"echo 'send: warning: no limit' >$answer; {CUT}"
    with SubmitScript(monkeypatch).kill_at(before="    code=$?", cut=kill), pytest.raises(Unanswered):
        engine.submit(plan)
    assert answer.read_text() == "send: warning: no limit\n"
    assert engine.find(plan)["job"] == "job-1"
    assert len(engine.read_queue()) == 1


@pytest.mark.slow  # needs flock
def test_submit_command_of_another_submit_is_waited_for(engine, plan, answer, mood, monkeypatch):
    monkeypatch.setattr(submit_script, "PATIENCE_SECONDS", 0.2)
    mood("silent")
    with pytest.raises(Unanswered):
        engine.submit(plan)
    with answer.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for attempt in (engine.find, engine.submit):
            with pytest.raises(Unanswered) as busy:
                attempt(plan)
            check_problems(busy.value.problems, "submit-still-sending")


def test_submit_command_that_hangs_is_ended(engine, plan, mood, monkeypatch):
    monkeypatch.setattr(submit_script, "PATIENCE_SECONDS", 0.2)
    mood("hangs")
    with pytest.raises(Unanswered):
        engine.submit(plan)
    mood("")
    assert engine.submit(plan)["job"] == "job-1"


def test_missing_submit_command_is_a_problem(engine, plan):
    engine.submit_command = "sends"
    with check_rejected("submit-command-missing"):
        engine.submit(plan)


def test_step_that_is_refused_takes_the_others_along(engine, monkeypatch):
    monkeypatch.setattr(SendEngine, "dependency_words", ("--after", "{jobs}", "refused;", "exit 3"))
    program = engine.queue.parent / "bin/send"
    program.write_text(SEND.replace("state=waits", '[ "$3" != "refused;" ] || { echo no; exit 1; }; state=waits'))
    with pytest.raises(Rejected) as refused:
        engine.submit(render_pipeline(engine))
    assert "step two" in refused.value.problems[0].title
    assert engine.stopped == ["job-1"]
    assert [*engine.runs.iterdir()] == []


def test_pipeline_whose_first_step_was_not_released_begins_later(engine):
    plan = render_pipeline(engine)
    free = engine.queue.parent / "bin/free"
    free.write_text("#!/bin/sh\necho 'free: end of file' >&2; exit 1\n")
    for attempt in (engine.submit, engine.find):
        with pytest.raises(Unanswered):
            attempt(plan)
    free.write_text(RELEASE)
    assert engine.find(plan)["jobs"] == "one=job-1 two=job-2 three=job-3"
    assert [line.split()[2:] for line in engine.read_queue()] == [
        ["waits", "-"],
        ["waits", "job-1"],
        ["waits", "job-1,job-2"],
    ]


def test_steps_that_cannot_be_removed_are_named_and_kept_in_the_record(engine, monkeypatch):
    engine.refusal = "Engine says: not now."
    monkeypatch.setattr(SendEngine, "dependency_words", ("--after", "{jobs}", "refused;"))
    program = engine.queue.parent / "bin/send"
    program.write_text(SEND.replace("state=waits", '[ "$3" != "refused;" ] || { echo no; exit 1; }; state=waits'))
    plan = render_pipeline(engine)
    with pytest.raises(Unanswered) as unanswered:
        engine.submit(plan)
    check_problems(unanswered.value.problems, "refused", "steps-left")
    program.write_text(SEND.replace("--after)", "--after) set -- $1 $2 $4 $5;"))
    assert engine.submit(plan)["jobs"] == "one=job-1 two=job-2 three=job-3"


def test_steps_that_the_scheduler_does_not_release_are_not_sent(engine):
    plan = render_pipeline(engine)
    free = engine.queue.parent / "bin/free"
    free.write_text("#!/bin/sh\necho 'free: you may not' >&2; exit 1\n")
    with pytest.raises(Unanswered) as unanswered:
        engine.submit(plan)
    check_problems(unanswered.value.problems, "steps-held")
    free.write_text(RELEASE)
    assert engine.find(plan)["jobs"] == "one=job-1 two=job-2 three=job-3"


def test_step_that_was_cancelled_before_its_release_is_sent(engine):
    free = engine.queue.parent / "bin/free"
    free.write_text(f"{RELEASE}echo 'free: it has ended' >&2; exit 1\n")
    assert engine.submit(render_pipeline(engine))["jobs"] == "one=job-1 two=job-2 three=job-3"


def test_job_that_is_started_for_ever_without_a_checkpoint_ends(engine, plan, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "start.sh").write_bytes(plan.files["start.sh"])
    (folder / "find-python.sh").write_text("echo it runs")

    def start():
        return subprocess.run(["sh", str(folder / "start.sh")], capture_output=True, text=True, check=False)

    assert [start().returncode for _ in range(6)] == [0, 0, 0, 0, 0, 1]
    assert "without a new checkpoint" in start().stderr
    outcome = read_facts(folder).outcome
    assert (outcome.state, "without a new checkpoint" in outcome.reason) == ("failed", True)
    (folder / "events.jsonl").write_text(event.format_event(event.Checkpoint(step=1, path="x", model="")) + "\n")
    assert start().stdout == "it runs\n"


@pytest.mark.slow
@pytest.mark.parametrize("make", [render, pytest.param(render_pipeline, marks=pytest.mark.long)])
def test_submit_that_is_cut_before_any_line_sends_each_job_once(engine, monkeypatch, make):
    """A cut after a line is one before the next."""
    submit = SubmitScript(monkeypatch)
    with submit.kill_at():
        engine.submit(make(engine, "whole"))
    whole = engine.read_queue()
    cuts, began = list_cuts(submit.text), set()
    assert len(cuts) > 50
    for number in cuts:
        engine.queue.unlink()
        plan = make(engine, f"runs-{number}")
        with submit.kill_at(number), contextlib.suppress(Unanswered):
            engine.submit(plan)
            engine.queue.touch()
            continue  # it did not come to that line
        began.add(len(engine.read_queue()))
        reference = engine.find(plan) or engine.submit(plan)
        line = submit.text.splitlines()[number]
        queue = [job_line.split()[::2] for job_line in engine.read_queue()]
        assert queue == [job_line.split()[::2] for job_line in whole], f"cut before {line}"
        assert engine.find(plan) == reference
        engine.queue.touch()
    assert began == {*range(len(whole) + 1)}, "cuts came before, between and after the jobs"
