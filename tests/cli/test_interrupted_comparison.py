"""The same line after a comparison that ended before its end goes on from what that one finished, unless `--new`."""

import pytest
from fake_engine import set_run_state
from robotrain.plugin import RunPlace
from robotrain.store import plans
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Evaluated

ROUND = ("001-0", "001-1")
NOTE = "run-left-parts"


@pytest.fixture
def compare(robotrain, fake_platform, monkeypatch, tmp_path):
    """Compare two folders on a platform whose runs have folders."""
    import fake_plugin

    monkeypatch.setattr(
        fake_plugin.FakeEngine, "describe_run", lambda *words: RunPlace(folder=f"{tmp_path}/{words[-1]}")
    )
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"type": "act"}')
        (tmp_path / name / "model.safetensors").write_text(name)

    def run(*more: str):
        policies = ("--policy-path", tmp_path / "new", "--reference-path", tmp_path / "old")
        return robotrain("submit", "lerobot-eval", *policies, "--env", "pusht", "--platform", "fake", "--json", *more)

    return run


@pytest.fixture
def leave(fake_platform, tmp_path):
    """Let a run end, with finished parts, and one that is not."""

    def end(run: str, state: str, *parts: str, **more: object):
        for name in (*parts, ".002-0.fill.part"):
            (tmp_path / run / "outputs/.eval_comparison" / name).mkdir(parents=True)
        set_run_state(fake_platform, run, state, **more)

    return end


def find_interrupted(run: str) -> str:
    return plans.read_stored_plan(run).plan.job.record.get("interrupted", "")


@pytest.mark.parametrize("state", ["lost", "failed", "cancelled"])
def test_the_same_line_goes_on_from_the_finished_rounds(compare, leave, tmp_path, state):
    first = compare().json["run"]
    leave(first, state, *ROUND)
    compare("--dry-run").check_problems(0, NOTE)
    again = compare()
    again.check_problems(0, NOTE)
    assert "left finished parts (2)" in again.stderr
    assert find_interrupted(again.json["run"]) == str(tmp_path / first)
    assert compare().json["run"] == again.json["run"], "it has not ended"


def test_new_starts_over(compare, leave):
    leave(compare().json["run"], "lost", *ROUND)
    again = compare("--new")
    assert (find_interrupted(again.json["run"]), NOTE in again.stderr) == ("", False)


def test_resubmit_goes_on_too(compare, leave, robotrain, tmp_path):
    first = compare().json["run"]
    leave(first, "lost", *ROUND)
    assert find_interrupted(robotrain("resubmit", first, "--json").json["run"]) == str(tmp_path / first)


def test_the_run_that_finished_most_is_taken_over(compare, leave, tmp_path):
    first = compare().json["run"]
    leave(first, "lost", *ROUND)
    second = compare().json["run"]
    leave(second, "lost", ROUND[0])
    third = compare().json["run"]
    assert find_interrupted(third) == str(tmp_path / first), "the second was killed before it had taken over all"
    leave(third, "lost", *ROUND, "002-0")
    assert find_interrupted(compare().json["run"]) == str(tmp_path / third)


def test_a_comparison_with_an_answer_is_not_gone_on_with(compare, leave):
    first = compare().json["run"]
    evaluated = Evaluated(episodes=10, scores={"rollout/success_rate": 0.5}, results="/x/eval_results", passed=False)
    leave(first, "failed", *ROUND, log=[event.format_event(evaluated)])
    again = compare()
    assert (find_interrupted(again.json["run"]), NOTE in again.stderr) == ("", False)


def test_a_run_that_finished_nothing_leaves_nothing(compare, leave):
    leave(compare().json["run"], "lost")
    assert NOTE not in compare().stderr


def test_another_question_is_another_job(compare, leave):
    leave(compare().json["run"], "lost", *ROUND)
    assert NOTE not in compare("--margin", "0.2").stderr
