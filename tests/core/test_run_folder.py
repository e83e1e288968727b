"""What a engine leaves to core whose runs are folders that it sees from here."""

import json
from types import MappingProxyType

import pytest
from robotrain.errors import Rejected
from robotrain.model.platform import Platform
from robotrain.model.run import RunGone, Status
from robotrain.run_folder import cancel, outputs, status
from robotrain.run_folder.run_folders import RunFolders
from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.event import Evaluated

STATES = MappingProxyType({"WAITS": "pending", "DONE": "succeeded", "KILLED": "failed"})


class StatedEngine(status.RunFolderEngine):
    """An engine that says what it is told to."""

    states = STATES

    def __init__(self, then="KILLED"):
        super().__init__(Platform(name="engine", engine_class=StatedEngine))
        self.then = then
        self.says = {"7": "WORKS"}
        self.stopped = []

    def get_engine_state(self, job):
        return self.says[job]

    def stop_jobs(self, jobs, how):
        for job in jobs:
            self.stopped.append((job, how))
            self.says[job] = "KILLED" if how == "for good" else self.then
        return ""


@pytest.fixture
def reference(tmp_path):
    (tmp_path / "run").mkdir()
    return {"folder": str(tmp_path / "run"), "job": "7"}


def write_outcome(tmp_path, state):
    (tmp_path / "run/outcome.json").write_text(json.dumps({"state": state, "exit_code": 143, "reason": "it stopped"}))


NODE = "LEAVES ITS NODE"
STATUSES = {
    "waits": ("WAITS (for a node)", "", False, "pending", None),
    "runs": ("RUNNING", "", False, "running", None),
    "an unknown word": ("NEVER HEARD OF", "", False, "running", None),
    "ended without an outcome": ("KILLED", "", False, "failed", None),
    "ended with an outcome": ("KILLED", "failed", False, "failed", 143),
    "waits again": ("WAITS", "failed", False, "pending", None),
    "may be started again": (NODE, "failed", False, "running", None),
    "was stopped and may be started again": (NODE, "cancelled", False, "running", None),
    "has succeeded before its job has ended": (NODE, "succeeded", False, "succeeded", 143),
    "was stopped by nobody": ("KILLED", "cancelled", False, "cancelled", 143),
    "was cancelled": ("KILLED", "cancelled", True, "cancelled", 143),
    "was cancelled, its job has not ended": ("WORKS", "cancelled", True, "cancelled", 143),
}


@pytest.mark.parametrize(("word", "outcome", "is_cancelled", "state", "exit_code"), STATUSES.values(), ids=STATUSES)
def test_the_status_of_a_run_is_from_its_engine_and_its_own_outcome(
    reference, tmp_path, word, outcome, is_cancelled, state, exit_code
):
    engine = StatedEngine()
    engine.says["7"] = word
    if outcome:
        write_outcome(tmp_path, outcome)
    if is_cancelled:
        (tmp_path / "run/cancelled").touch()
    status = engine.status(reference)
    assert (status.state, status.exit_code) == (state, exit_code)
    is_from_engine = exit_code is None
    assert (word if is_from_engine and word != "RUNNING" else "it stopped" if exit_code else "") in status.reason
    assert (status.reason == "") == (word == "RUNNING")


@pytest.mark.parametrize("word", ["R", "RUN", "RUNNING"])
def test_a_word_of_the_engine_that_repeats_the_state_is_no_reason(reference, word):
    engine = StatedEngine()
    engine.says["7"] = word
    assert (engine.status(reference).state, engine.status(reference).reason) == ("running", "")
    engine.says["7"] = f"{word} (slowly)"
    assert engine.status(reference).reason == f"engine says {word} (slowly)"


def test_an_end_that_the_engine_forgets_is_recorded(reference, tmp_path):
    engine = StatedEngine()
    engine.says["7"] = ""
    status = engine.status(reference)
    assert status.state == "lost"
    assert "engine no longer knows its job" in status.reason
    for word in ("KILLED (no memory)", "cannot be reached", ""):
        engine.says["7"] = word
        status = engine.status(reference)
    assert (status.state, "KILLED (no memory)" in status.reason) == ("failed", True)
    for word in ("WAITS", "DONE", ""):
        engine.says["7"] = word
        status = engine.status(reference)
    assert status.state == "succeeded", "the last end counts"


def test_the_job_that_works_on_the_run_is_asked_about(reference, tmp_path):
    engine = StatedEngine()
    engine.says["8:1"] = "WAITS"
    (tmp_path / "run/taken").symlink_to("8:1:token:4711")
    assert engine.status(reference).state == "pending"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(cancel, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(cancel, "LONGEST_PAUSE", 0.0)


@pytest.mark.parametrize(("says", "how"), [("WORKS", "running"), ("WAITS", "waiting")])
def test_a_run_is_stopped_once(reference, impatient, says, how):
    engine = StatedEngine()
    engine.says["7"] = says
    engine.cancel(reference)
    engine.cancel(reference)
    assert engine.stopped == [("7", how)]
    assert engine.status(reference).state == "cancelled"


def test_second_cancel_sends_no_second_signal(reference, impatient, monkeypatch):
    """It would end the saving of the checkpoint."""
    monkeypatch.setattr(cancel, "SAVE_SECONDS", 0.05)
    monkeypatch.setattr(cancel, "END_SECONDS", 0.05)
    engine = StatedEngine(then="SAVES")
    stop = engine.stop_jobs

    def is_interrupted(jobs, how):
        stop(jobs, how)
        engine.says["7"] = "BREAKS"

    monkeypatch.setattr(engine, "stop_jobs", is_interrupted)
    monkeypatch.setattr(engine, "get_engine_state", get_word_or_interrupt(engine))
    with pytest.raises(KeyboardInterrupt):
        engine.cancel(reference)
    monkeypatch.undo()
    engine.says["7"] = "SAVES"
    monkeypatch.setattr(cancel, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(cancel, "SAVE_SECONDS", 0.05)
    engine.cancel(reference)
    assert engine.stopped == [("7", "running"), ("7", "for good")]


def get_word_or_interrupt(engine):
    def get_word(job):
        if engine.says[job] == "BREAKS":
            raise KeyboardInterrupt
        return engine.says[job]

    return get_word


def test_question_without_an_answer_does_not_end_a_cancel(impatient):
    answers = iter([{"1": "running"}, Rejected([], transient=True), {"1": "running"}, {}])
    stopped = []

    def list_jobs():
        answer = next(answers)
        if isinstance(answer, Rejected):
            raise answer
        return answer

    assert cancel.stop_all(list_jobs, lambda jobs, how: stopped.append((jobs, how)) or "") is None
    assert stopped == [(["1"], "running")]


def test_run_on_a_full_disk_is_stopped(reference, impatient, monkeypatch):
    def is_full(folders, file, content=b""):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolders, "write_file", is_full)
    engine = StatedEngine()
    engine.cancel(reference)
    assert engine.stopped == [("7", "running")]


def test_waiting_jobs_are_stopped_before_those_that_run(impatient):
    """Else one of them begins when another ends."""
    stopped = []
    answers = iter([{"1": "running", "2": "waiting", "3": "for good", "4": "waiting"}, {}])
    cancel.stop_all(lambda: next(answers), lambda jobs, how: stopped.append((jobs, how)) or "")
    assert stopped == [(["2", "4"], "waiting"), (["1"], "running"), (["3"], "for good")]


def test_a_run_that_does_not_save_in_time_is_ended_for_good(reference, impatient, monkeypatch):
    monkeypatch.setattr(cancel, "SAVE_SECONDS", 0.05)
    engine = StatedEngine(then="SAVES")
    engine.cancel(reference)
    assert engine.stopped == [("7", "running"), ("7", "for good")], "a second signal would stop the saving"


def test_a_cancel_that_the_engine_did_not_get_can_be_repeated(reference, impatient, monkeypatch):
    engine, stop = StatedEngine(), StatedEngine.stop_jobs

    def is_away(jobs, how):
        raise Rejected([], transient=True)

    for answer in (is_away, lambda jobs, how: "permission denied"):
        monkeypatch.setattr(engine, "stop_jobs", answer)
        with pytest.raises(Rejected):
            engine.cancel(reference)
        assert engine.status(reference).state == "running"
    monkeypatch.setattr(engine, "stop_jobs", lambda jobs, how: stop(engine, jobs, how))
    engine.cancel(reference)
    assert engine.status(reference).state == "cancelled"


def test_a_platform_explains_the_words_of_its_engine(reference, monkeypatch):
    engine = StatedEngine()
    monkeypatch.setattr(engine, "explain_state", lambda word: Status(state="failed", reason="it broke", exit_code=3))
    assert engine.status(reference) == Status(state="failed", reason="it broke", exit_code=3)


def test_a_run_that_has_ended_is_not_cancelled(reference):
    engine = StatedEngine()
    engine.says["7"] = "DONE"
    engine.cancel(reference)
    assert engine.status(reference).state == "succeeded"
    assert engine.stopped == []


def test_the_log_is_read_until_the_run_ends(reference, tmp_path):
    engine = StatedEngine()
    with pytest.raises(RunGone):
        engine.logs({"folder": str(tmp_path / "none")}, follow=False)
    engine.says["7"] = "DONE"
    (tmp_path / "run/log.txt").write_text("one\ntwo\n")
    assert [*engine.logs(reference, follow=False, tail=1)] == ["two"]


def test_the_log_tells_what_the_job_printed_and_why_the_run_waits(reference, tmp_path, monkeypatch):
    monkeypatch.setattr("robotrain.run_folder.log.QUERY_SECONDS", 0.0)
    monkeypatch.setattr("robotrain.run_folder.log.POLL_SECONDS", 0.0)
    engine = StatedEngine()
    engine.output_file = "printed.txt"
    engine.says["7"] = "WAITS"
    lines = engine.logs(reference, follow=True)
    assert next(lines).startswith("[engine] waiting: ")
    (tmp_path / "run/printed.txt").write_text("no such module\n")
    assert next(lines) == "[engine] no such module"
    engine.says["7"] = "KILLED"
    assert [*lines] == []
    assert [*engine.logs(reference, follow=False)] == ["[engine] no such module"]
    assert engine.status(reference).reason.endswith(": no such module")


@pytest.mark.parametrize("within", [True, False])
def test_the_results_of_an_evaluation_are_outputs_in_any_folder(tmp_path, within):
    folder = tmp_path / "run"
    own = folder / "outputs" if within else tmp_path / "elsewhere"
    for name in ("eval_results/eval_results.json", "policy/000400/config.json", "another's" if not within else "log"):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_text("{}")
    folder.mkdir(exist_ok=True)
    result = Evaluated(
        episodes=1, scores={}, results=str(own / "eval_results"), policy=str(own / "policy/000400"), step=400
    )
    (folder / "events.jsonl").write_text(event.format_event(result) + "\n")
    checkpoint.seal_checkpoint(
        own / "policy/000400", step=400, run="run", job="j", manifest_path=folder / "policy.json"
    )
    listed = {output.name: (output.kind, output.uri) for output in outputs.list_outputs(folder)}
    assert listed.pop("events.jsonl")[0] == "file"
    names = ["eval_results", "policy", *(["log"] if within else [])]
    assert listed == {f"{own.name}/{name}": ("file", str(own / name)) for name in names}
