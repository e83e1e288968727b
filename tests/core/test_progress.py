"""What a run's events add up to."""

import math

from robotrain import progress
from robotrain_runtime import event
from robotrain_runtime.event import Checkpoint, Metrics, Outcome


def told(*events, seconds=1.0):
    return progress.read(event.dump(one, at) for at, one in zip(range(0, 1000, int(seconds)), events, strict=False))


def test_steps_rate_and_what_is_left():
    known = told(*(Metrics(step=step, total=100, values={"train/loss": 1 / step}) for step in (10, 20, 30)))
    assert (known.step, known.total, known.rate) == (30, 100, 10.0)
    assert known.line() == "step 30/100 (30%)  loss 0.03333  10.0 steps/s  7 s left"


def test_a_step_without_values_moves_on_and_keeps_the_last_loss():
    known = told(Metrics(step=10, total=100, values={"train/loss": 0.5}), Metrics(step=60, total=100, values={}))
    assert known.losses == [(10, 0.5)]
    assert known.line().startswith("step 60/100 (60%)  loss 0.5")


def test_before_any_loss_the_step_alone_is_shown():
    assert told(Metrics(step=7, total=100, values={})).line() == "step 7/100 (7%)"


def test_a_held_out_loss_says_of_which_step_it_is():
    known = told(
        Metrics(step=10, total=40, values={"train/loss": 0.5}),
        Metrics(step=10, total=40, values={"val/loss": 0.7}),
        Metrics(step=20, total=40, values={"train/loss": math.nan}),
    )
    assert "val 0.7 at 10" in known.line()
    assert "loss nan" in known.line()


def test_a_run_that_succeeded_did_all_its_steps():
    known = told(
        Metrics(step=20, total=30, values={"train/loss": 0.5}),
        Checkpoint(step=30, path="/x/000030"),
        Outcome(state="succeeded", exit_code=0),
    )
    assert (known.step, known.checkpoint) == (30, "/x/000030")


def test_ordinary_and_strange_lines_say_nothing():
    known = progress.read(["hello", event.PREFIX + "{", "step 5", ""])
    assert known.step is None
