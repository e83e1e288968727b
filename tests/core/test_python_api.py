"""The Python API: submit, `Run`, and exceptions for runs that did not succeed."""

import re
from pathlib import Path

import pytest
from fake_engine import set_run_state
from problem_assertions import check_rejected
from robotrain import api
from robotrain.model import run
from robotrain.store import records
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Metrics


@pytest.fixture
def submit(fake_platform, pusht):
    def submit(**values):
        return api.submit(platform="fake", dataset_path=pusht, pin=False, **values)

    return submit


def test_a_submitted_run_is_one_of_the_command_line(submit, fake_platform, robotrain):
    run = submit(training_steps=7, slots=60)
    assert robotrain("status", run.name, "--json").json["run"] == run.name
    assert run.record.settings == {"slots": 60}
    assert api.runs() == [run] == [api.Run(run.name)]
    assert {run} == {api.Run(run.name)}


def test_a_call_and_a_command_line_give_the_same_job(submit, fake_platform, pusht, robotrain):
    by_call = submit(learning_rate=3e-5, system_metrics=False, training_steps=7)
    typed = ("--learning-rate", "3e-5", "--no-system-metrics", "--training-steps", 7, "--no-pin")
    by_hand = robotrain("submit", "--platform", "fake", "--dataset-path", pusht, "--new", *typed)
    assert by_hand.stdout.strip() == by_call.name[:-1] + "2"


@pytest.mark.parametrize(
    ("state", "error"),
    [("failed", api.RunFailed), ("cancelled", api.RunCancelled), ("lost", api.RunLost)],
)
def test_wait_raises_if_the_run_did_not_succeed(submit, fake_platform, state, error):
    run = submit()
    set_run_state(fake_platform, run.name, state=state)
    with pytest.raises(error, match=f"{run.name} {state}") as raised:
        run.wait()
    assert isinstance(raised.value, api.RunEnded)
    assert raised.value.status.state == state


def test_wait_raises_after_its_timeout_and_the_run_goes_on(submit, fake_platform):
    run = submit()
    with pytest.raises(TimeoutError, match="still running"):
        run.wait(timeout=0.01)
    run.cancel()
    assert run.status().state == "cancelled"


NOTIFIED = """
from robotrain.plugin import hook

@hook
def robotrain_run_changed(run, change, status):
    with open("notified", "a") as file:
        print(run.run[-1], change, status and status.state, file=file)
    1 / (status is None or status.state != "failed")
"""


def test_plugins_of_the_site_are_notified_once_of_each_change(submit, fake_platform, install):
    install("acme", {"acme": "acme_told"}, acme_told=NOTIFIED)
    failed, two, seen = (submit(new=True) for _ in range(3))
    set_run_state(fake_platform, failed.name, state="failed")
    for _ in range(2):
        with pytest.raises(api.RunFailed):
            failed.wait()
    assert "it was not told that" in str(failed.warnings), "the end is notified nevertheless"
    two.cancel()
    two.cancel()
    with pytest.raises(api.RunCancelled):
        two.wait()
    seen = api.Run(seen.name)
    with pytest.raises(TimeoutError):
        seen.wait(timeout=0.01)
    set_run_state(fake_platform, seen.name, state="succeeded")
    seen.wait()
    api.Run(seen.name).wait()  # it had ended when it was first asked
    notified = Path("notified").read_text().splitlines()
    assert notified[:3] == ["1 sent None", "2 sent None", "3 sent None"]
    assert notified[3:] == ["1 ended failed", "2 cancelled cancelled", "3 ended succeeded"]
    assert records.read_final_status(failed.name).state == "failed"


def test_all_problems_are_raised_at_once(fake_platform, pusht):
    with check_rejected("value-unknown", "value-invalid training_steps", "value-invalid slots"):
        api.submit(platform="fake", dataset_path=pusht, training_steps=0, trainig_steps=5, slots="high")
    assert records.list_runs() == []


def test_a_problem_is_formatted_as_at_the_command_line(submit, robotrain, pusht):
    Path("job.yaml").write_text("platforms: {fakee: {slots: 3}}\n")
    (remark,) = submit(job="job.yaml").warnings
    typed = ("submit", "job.yaml", "--platform", "fake", "--dataset-path", pusht, "--no-pin")
    assert str(remark) in robotrain(*typed).stderr
    assert "use   fake" in str(remark)


def test_explain_and_render_submit_nothing(fake_platform, pusht):
    values = api.explain(platform="fake", dataset_path=pusht, batch_size=4)
    (batch_size,) = [value for value in values if value["name"] == "batch_size"]
    assert (batch_size["value"], batch_size["origin"]) == (4, "call batch_size")
    plan = api.render(job=None, platform="fake", dataset_path=pusht, attempt=3)
    assert plan.run.endswith("-3")
    assert records.list_runs() == []


def test_without_a_platform_the_installed_ones_are_offered(fake_platform, pusht):
    with check_rejected("platform-missing"):
        api.submit(dataset_path=pusht)


class Float(float):
    """As numpy's: its repr is no number."""

    def __repr__(self):
        return f"np.float64({float(self)})"


def test_a_number_of_another_library_is_a_number(fake_platform, pusht):
    values = api.explain(platform="fake", dataset_path=pusht, learning_rate=Float(3e-5))
    assert [value["value"] for value in values if value["name"] == "learning_rate"] == [3e-5]


def test_sources_keep_the_order_of_any_iterable(fake_platform, pusht):
    several = [pusht, pusht.parent]
    plan = api.render(platform="fake", dataset_path=(path for path in several))
    assert [source.uri for source in plan.job.sources] == [str(path) for path in several]


@pytest.mark.parametrize("values", [{"trainer_args": "--policy.chunk_size=16"}, {"attempt": 0}])
def test_an_invalid_argument_is_refused(fake_platform, pusht, values):
    with check_rejected("value-invalid"):
        api.render(platform="fake", dataset_path=pusht, **values)


def test_render_pins_only_if_asked(fake_platform, pusht):
    pins = [
        api.render(platform="fake", dataset_path=pusht, pin=pin).job.sources[0].pin.partition(":")[0]
        for pin in (False, True)
    ]
    assert pins == ["", "folder"]


def test_a_pickled_outcome_is_unchanged():
    import pickle

    ended = api.RunFailed("a-1", run.Status(state="failed", reason="no room"))
    again = pickle.loads(pickle.dumps(ended))
    assert (type(again), str(again), again.status) == (api.RunFailed, "a-1 failed: no room", ended.status)


@pytest.fixture
def fast_api(monkeypatch):
    from robotrain import api

    monkeypatch.setattr(api, "MIN_POLL_SECONDS", 0.001)
    return api


def fail_status(monkeypatch, times):
    """The fake platform does not say how a run is, so many times."""
    import fake_plugin

    status, calls = fake_plugin.FakeEngine.status, []

    def silent(self, reference):
        calls.append(reference)
        if len(calls) <= times:
            raise ConnectionResetError("the line went dead")
        return status(self, reference)

    monkeypatch.setattr(fake_plugin.FakeEngine, "status", silent)


def test_wait_asks_a_silent_platform_again(submit, fake_platform, fast_api, monkeypatch):
    run = submit()
    set_run_state(fake_platform, run.name, state="succeeded")
    fail_status(monkeypatch, 3)
    assert run.wait().state == "succeeded"


def test_wait_gives_up_a_platform_that_stays_silent(submit, fake_platform, fast_api, monkeypatch):
    run = submit()
    fail_status(monkeypatch, 1000)
    monkeypatch.setattr(fast_api, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(ConnectionResetError):
        run.wait()


def test_wait_raises_at_once_if_the_run_is_gone(submit, fake_platform):
    run = submit()
    (fake_platform / "jobs" / run.name).unlink()
    with check_rejected("run-gone"):
        run.wait()


def test_events_arrive_during_a_wait_with_a_timeout(submit, fake_platform, fast_api):
    run = submit()
    lines = [event.format_event(Metrics(values={"train/loss": 0.5}, step=step)) for step in (1, 2)]
    set_run_state(fake_platform, run.name, state="running", log=lines[:1])
    notified = []

    def hear(record):
        notified.append(record.event.step)
        set_run_state(fake_platform, run.name, state="succeeded", log=lines)

    assert run.wait(timeout=60, on_event=hear).state == "succeeded"
    assert notified == [1, 2]
    assert run.progress().losses == [(1, 0.5), (2, 0.5)]


def test_each_event_arrives_once_if_the_log_breaks_off(submit, fake_platform, fast_api, monkeypatch):
    import fake_plugin

    run = submit()
    lines = [event.format_event(Metrics(values={"train/loss": 0.5}, step=step)) for step in (1, 2, 3)]
    set_run_state(fake_platform, run.name, state="running", log=lines)
    whole, calls = fake_plugin.FakeEngine.logs, []

    def broken(self, reference, follow, tail=None):
        calls.append(follow)
        for at, line in enumerate(whole(self, reference, follow, tail)):
            if len(calls) == 1 and at == 1:
                set_run_state(fake_platform, run.name, state="succeeded", log=lines)
                raise ConnectionResetError("the line went dead")
            yield line

    monkeypatch.setattr(fake_plugin.FakeEngine, "logs", broken)
    notified = []
    run.wait(on_event=notified.append)
    assert [record.event.step for record in notified] == [1, 2, 3]


def test_an_error_of_the_callback_is_raised(submit, fake_platform):
    run = submit()
    set_run_state(fake_platform, run.name, state="running", log=[event.format_event(Metrics(values={}, step=1))])

    def enough(record):
        raise StopAsyncIteration

    with pytest.raises(StopAsyncIteration):
        run.wait(on_event=enough)


def test_the_program_of_the_docs_runs(fake_platform, pusht, monkeypatch, capsys):
    import fake_plugin

    text = (Path(__file__).parents[2] / "docs/python.md").read_text()
    program, notebook_cell = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    Path("job.yaml").write_text(f"sources:\n  dataset:\n    - local_path: {pusht}\n")
    ended = {"state": "failed", "checkpoints": [4]}
    monkeypatch.setattr(fake_plugin.FakeEngine, "_state", lambda self, reference: ended)
    exec(program.replace("local", "fake"), {})
    (run,) = api.runs()
    assert capsys.readouterr().out == f"\ncheckpoints/000004 /fake/{run.name}/checkpoints/000004\n"
    exec(f"import robotrain\n{notebook_cell}", {})
    assert capsys.readouterr().out.startswith("failed ")


CHECKED = """
import robotrain

run: robotrain.Run = robotrain.submit("job.yaml", platform="local", training_steps=2000, new=True)
try:
    status: robotrain.Status = run.wait(timeout=5.0, on_event=print)
except robotrain.RunFailed as failed:
    print(failed.run, failed.status.reason)
except robotrain.Rejected as rejected:
    problems: tuple[robotrain.Problem, ...] = rejected.problems
outputs: list[robotrain.Output] = run.outputs()
plan: robotrain.Plan = robotrain.render(platform="local", pin=True, trainer_args=["--a=b"])
names: list[str] = [one.name for one in robotrain.runs(limit=3)]
robotrain.submit(platfrom=3, job="x")
robotrain.submit(platform=3)
"""


@pytest.mark.slow
def test_a_program_that_uses_it_is_checked_by_mypy(tmp_path):
    import subprocess
    import sys

    (tmp_path / "program.py").write_text(CHECKED)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "program.py"], cwd=tmp_path, capture_output=True, text=True
    )
    (wrong,) = [line for line in checked.stdout.splitlines() if "error:" in line]
    assert 'Argument "platform" to "submit" has incompatible type "int"; expected "str"' in wrong


def test_scores_of_checkpoints_need_a_pipeline(submit):
    with check_rejected("options-conflict"):
        submit(evaluate_checkpoints="all")
