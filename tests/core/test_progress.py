"""What a run's events add up to."""

import dataclasses
import functools
import math

import pytest
from robotrain.model import amounts, progress
from robotrain.model.event_text import describe_event
from robotrain.model.progress import Progress
from robotrain.model.workload_profile import Metric
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import (
    Checkpoint,
    Delivered,
    Download,
    Evaluated,
    Metrics,
    Note,
    Outcome,
    Published,
    Registered,
    StageEvent,
)
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

METRICS = (*LEROBOT_TRAIN.profile.metrics, *LEROBOT_EVAL.profile.metrics)
read_end = functools.partial(progress.read_newest_progress, declared_metrics=METRICS)
describe = functools.partial(describe_event, declared_metrics=METRICS)


def read_log(lines):
    progress = Progress(METRICS)
    for line in lines:
        if record := event.parse_event(line):
            progress.add_event(record)
    return progress


def read_events(*events):
    """Return the progress after events of which one comes each second."""
    return read_log(event.format_event(run_event, at) for at, run_event in enumerate(events))


def episode(number, total=10, **values):
    way = "" if "mse" in values else "rollout_"
    values_of_episode = {f"{way}ep{number}_{name}": value for name, value in values.items()}
    return Metrics(step=number + 1, total=total, unit="episode", values=values_of_episode)


def at_step(step, total=100, **losses):
    return Metrics(step=step, total=total, values={f"{name}/loss": value for name, value in losses.items()})


LINES = {
    "rate and time left": (
        [at_step(step, train=1 / step) for step in (10, 20, 30)],
        "step 30/100 (30%)  loss 0.03333  10.0 steps/s  7 s left",
    ),
    "a slow rate": (
        [run_event for step in (1, 2, 3) for run_event in (*[Note(level="info", text="slow")] * 3, at_step(step))],
        "step 3/100 (3%)  0.25 steps/s  6:28 min left",
    ),
    "a step without values keeps the last loss": (
        [at_step(10, train=0.5), at_step(60)],
        "step 60/100 (60%)  loss 0.5  50.0 steps/s  1 s left",
    ),
    "values that are counted have neither step nor rate": (
        [Metrics(step=step, unit="value", values={"train/loss": 1 / step}) for step in (1, 2, 4)],
        "loss 0.25",
    ),
    "epochs in place of a counter that begins again": (
        [
            at_step(10, None, train=1.0),
            Metrics(step=11, unit="value", values={"train/loss": 0.5}),
            *(Metrics(step=epoch, total=4, unit="epoch", values={}) for epoch in (2, 3)),
        ],
        "epoch 3/4 (75%)  loss 0.5  1.0 epochs/s  1 s left",
    ),
    "steps that were none are withdrawn": (
        [
            at_step(10, 10, train=1.0),
            *(Metrics(step=11 + n, unit="value", values=values) for n, values in enumerate(({}, {"train/loss": 0.5}))),
        ],
        "loss 0.5",
    ),
    "no loss yet": ([at_step(7)], "step 7/100 (7%)"),
    "a validation loss with its step": (
        [at_step(10, 40, train=0.5), at_step(10, 40, val=0.7), at_step(20, 40, train=math.nan)],
        "step 20/40 (50%)  loss nan  val 0.7 at 10  5.0 steps/s  4 s left",
    ),
    "an evaluation counts its successes": (
        [episode(number, success=float(number != 1), max_reward=0.9) for number in range(4)],
        "episode 4/10 (40%)  success 3/4  1.0 episodes/s  6 s left",
    ),
    "a comparison that had its answer early": (
        [*(episode(number, 232, max_reward=0.9) for number in range(20)), Outcome(state="succeeded", exit_code=0)],
        "episode 20/20 (100%)  1.0 episodes/s",
    ),
    "a replay has a mean error": (
        [episode(number, mse=value) for number, value in enumerate((0.2, 0.4))],
        "episode 2/10 (20%)  mse 0.3  1.0 episodes/s  8 s left",
    ),
}


@pytest.mark.parametrize(("events", "line"), LINES.values(), ids=LINES)
def test_progress_is_one_line(events, line):
    assert read_events(*events).format_line() == line


def test_a_score_is_once_in_a_line():
    progress = Progress(LEROBOT_EVAL.profile.metrics)
    for happened in (episode(0, mse=0.2), episode(1, mse=0.4), Metrics(values={"replay/mse": 0.31}, step=2, total=10)):
        progress.add_event(event.EventRecord(5.0, happened))
    assert progress.format_line().count("mse") == 1


def test_episodes_that_end_together_have_no_rate():
    progress = Progress(METRICS)
    for number in range(3):
        progress.add_event(event.EventRecord(5.0, episode(number)))
    assert progress.format_line() == "episode 3/10 (30%)"


def test_a_line_has_the_values_with_a_brief_name():
    declared = [Metric(name="return", kind="curve"), Metric(name="success", brief="success", share=True)]
    progress = Progress([*declared, Metric(name="length", brief="length"), Metric(name="more")])
    values = {"return": 1.5, "success": 0.25, "length": 300.0, "more": 1.0}
    progress.add_event(event.EventRecord(5.0, Metrics(step=2, total=4, values=values)))
    assert progress.format_line() == "step 2/4 (50%)  return 1.5  success 25%  length 300"


def test_a_line_says_how_long_the_training_waits_for_data():
    progress = read_events(Metrics(step=20, total=100, values={"train/loss": 0.5, "train/data_wait": 0.731}))
    assert progress.format_line() == "step 20/100 (20%)  loss 0.5  data wait 73%"


SCORES = {"rollout/success_rate": 0.85, "rollout/success_rate_low": 0.64, "rollout/success_rate_high": 0.948}
EVALUATED = Evaluated(episodes=20, scores=SCORES | {"rollout/avg_max_reward": 0.93}, results="/x/eval_results")
SENTENCE = "20 episodes evaluated: success 17 of 20, 85% (64-95%)  mean greatest reward 0.93"
DESCRIBED = (
    (Published(step=200, to="runs:/r/200", seconds=3.0), "checkpoint of step 200 published to runs:/r/200 in 3 s"),
    (
        Registered(name="act", version="3", step=400, uri="models:/act/3"),
        "the policy of step 400 is registered as act, version 3: models:/act/3",
    ),
    (
        Registered(name="act", version="3", step=0, uri="models:/act/3"),
        "the policy is registered as act, version 3: models:/act/3",
    ),
    (episode(3, success=1.0), "episode 4: rollout_ep3_success 1"),
    (EVALUATED, SENTENCE),
    (dataclasses.replace(EVALUATED, passed=False), f"{SENTENCE}; below the required score"),
    (Delivered(to="runs:/r", seconds=3.0), "copied to runs:/r in 3 s"),
)


@pytest.mark.parametrize(("happened", "sentence"), DESCRIBED)
def test_an_event_is_described_in_a_sentence(happened, sentence):
    assert describe(happened) == sentence


def test_a_run_that_succeeded_has_done_all_steps():
    progress = read_events(
        Metrics(step=20, total=30, values={"train/loss": 0.5}),
        Checkpoint(step=30, path="/x/000030"),
        Outcome(state="succeeded", exit_code=0),
    )
    assert (progress.step, progress.checkpoint) == (30, "/x/000030")


def test_ordinary_and_invalid_lines_are_ignored():
    progress = read_log(["hello", event.PREFIX + "{", "step 5", ""])
    assert progress.step is None


def test_what_became_of_checkpoints_is_kept():
    progress = read_events(
        Checkpoint(step=200, path="/x/200"),
        Published(step=200, to="runs:/r/200", seconds=3.0),
        Checkpoint(step=400, path="/x/400"),
        Published(step=400, to="runs:/r/400"),
        Registered(name="act", version="3", step=400, uri="models:/act/3"),
    )
    assert (progress.checkpoint, progress.checkpoint_step) == ("/x/400", 400)
    assert progress.list_copies(200) == ["runs:/r/200"]
    assert progress.list_copies(400) == ["runs:/r/400"]
    assert [(model.name, model.version) for model in progress.registered] == [("act", "3")]


def test_warnings_and_errors_are_kept_and_other_notes_are_not():
    notes = [Note(level=level, text=level) for level in ("info", "warning", "error")]
    assert read_events(*notes).warnings == ["warning", "error"]


def test_values_of_the_machine_belong_to_no_step():
    progress = read_events(Metrics(step=5, values={"train/loss": 0.5}), Metrics(values={"system/memory_percent": 40.0}))
    assert progress.machine == {"system/memory_percent": 40.0}
    assert progress.metrics == {"train/loss": 0.5}
    assert progress.step == 5


def test_work_that_begins_again_goes_on_from_its_checkpoint():
    first = [Metrics(step=step, total=100, values={"train/loss": 1 / step}) for step in (10, 20, 30)]
    again = [Metrics(step=step, total=100, values={"train/loss": 2 / step}) for step in (25, 35)]
    progress = read_events(*first, StageEvent(name="work", state="started"), *again)
    assert (progress.step, progress.rate) == (35, 10.0)
    assert progress.losses == [(10, 0.1), (20, 0.05), (25, 0.08), (35, 2 / 35)]


def test_a_start_that_has_not_measured_yet_is_at_its_checkpoint():
    first = [StageEvent(name="work", state="started"), at_step(40), Checkpoint(step=42, path="/runs/x/000042")]
    progress = read_events(*first, StageEvent(name="work", state="started"))
    assert progress.step is None
    assert progress.format_line() == "step 42/100"


def test_a_run_that_has_ended_has_no_time_left():
    progress = read_events(*(Metrics(step=step, total=100, values={}) for step in (10, 20)))
    assert "left" in progress.format_line()
    assert "left" not in progress.format_line(has_ended=True)


def test_the_end_of_a_log_has_the_newest_step_and_loss():
    lines = [
        event.format_event(Metrics(step=step, total=100, values={"train/loss": 1 / step})) for step in range(1, 50)
    ]
    later = [event.format_event(Metrics(step=55, total=100, values={})), "an ordinary line"]
    progress = read_end([*lines, *later])
    assert (progress.step, progress.total, progress.losses) == (55, 100, [(49, 1 / 49)])
    done = read_end([*lines, event.format_event(Outcome(state="succeeded", exit_code=0))])
    assert done.step == 100
    assert read_end([]).step is None


def test_durations_and_sizes_are_formatted_for_people():
    assert [amounts.format_duration(seconds) for seconds in (-1, 8, 65, 7380, 200_000)] == [
        "0 s",
        "8 s",
        "1:05 min",
        "2:03 h",
        "2 d 7 h",
    ]
    sizes = {0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 999_000: "999.0 kB", 10**9: "1.0 GB", 10**16: "10000.0 TB"}
    assert {size: amounts.format_size(size) for size in sizes} == sizes


def test_while_data_comes_its_bytes_rate_and_what_is_left_are_shown():
    progress = read_events(
        StageEvent(name="environment", state="started"),
        StageEvent(name="data", state="started"),
        Download(done=750_000_000, total=3_000_000_000, rate=125e6),
    )
    assert progress.format_line() == "data  750.0 MB of 3.0 GB (25%)  125.0 MB/s  18 s left"


def test_of_stages_that_overlap_the_one_that_goes_on_is_shown():
    both = (StageEvent(name="environment", state="started"), StageEvent(name="data", state="started"))
    assert read_events(*both, StageEvent(name="environment", state="done", seconds=1.0)).stage == "data"
    assert read_events(*both, StageEvent(name="data", state="done", seconds=1.0)).stage == "environment"


def test_an_evaluation_that_begins_again_counts_from_zero():
    again = (StageEvent(name="work", state="started"), episode(0, success=1.0))
    evaluation = Evaluated(episodes=1, scores={"rollout/success_rate": 0.0}, results="/x")
    progress = read_events(episode(0, success=0.0), episode(1, success=0.0), evaluation, *again)
    assert progress.format_line() == "episode 1/10 (10%)  success 1/1"
    assert progress.evaluated is None


def test_copies_of_results_and_of_the_policy_are_kept_apart_each_once():
    evaluation = Evaluated(episodes=1, scores={}, results="/x/eval_results", policy="/x/policy/000400")
    places = ("runs:/r", "/shared/run", "runs:/r/policy/000400", "runs:/r")
    progress = read_events(evaluation, *(Delivered(to=place) for place in places))
    assert progress.results == ["runs:/r", "/shared/run"]
    assert progress.policies == ["runs:/r/policy/000400"]


def test_the_end_of_a_log_has_the_scores():
    lines = [event.format_event(Evaluated(episodes=20, scores=SCORES, results="/x"))]
    assert read_end(lines).evaluated.scores == SCORES


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ({"rollout/episodes": 4.0, "rollout/success_rate": 0.5, "replay/mse": 0.25}, "success 2 of 4, 50%  mse 0.25"),
        ({"rollout/success_rate": 0.5, "replay/mae": 0.25}, "success 50%  mae 0.25"),
        ({"replay/mse": math.nan, "replay/latency_p95_ms": 1.94}, "p95 1.94 ms"),
        ({"replay/mse": 13712.4, "replay/latency_p95_ms": 63149.0}, "mse 13700  p95 63100 ms"),
        ({"rollout/success_rate": 1e300, "rollout/episodes": math.inf}, "rollout/success_rate 1e+300"),
        ({"grasp/strength": 3.0}, "grasp/strength 3"),
        ({}, ""),
    ],
)
def test_scores_are_shown_if_they_are_finite(scores, text):
    assert read_events(Evaluated(episodes=9, scores=scores, results="/x")).score_text == text
