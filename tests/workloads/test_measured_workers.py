"""`--num-workers auto`: the number of processes that load data is measured before the first step."""

import contextlib
import json
import shutil
from types import SimpleNamespace

import pytest
from job_documents import get_work
from robotrain_runtime.contract.event import Track
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot_train import loading_speed, worker_count
from robotrain_workloads.lerobot_train.loading_speed import LoaderChoice, choose_count, list_counts, measure_rates
from robotrain_workloads.lerobot_train.random_draws import RandomDraws
from small_training import SMALL, STEPS

AUTO = {"num_workers": "auto"}


@pytest.fixture(autouse=True)
def machine(monkeypatch) -> SimpleNamespace:
    """What this machine is said to have: cores, memory and shared memory."""
    has = SimpleNamespace(cores=8, memory=64 << 30, shared=64 << 30)
    monkeypatch.setattr(worker_count, "count_cores", lambda: has.cores)
    monkeypatch.setattr(worker_count, "get_available_memory", lambda: has.memory)
    monkeypatch.setattr(worker_count, "get_free_shared_memory", lambda place: has.shared)
    return has


def read_measured(document) -> tuple[int, int]:
    """The usual number, and up to how many processes the launcher measures."""
    work = get_work(document)
    most = get_option_value(work.arguments, "--measured-workers")
    return int(get_option_value(work.arguments, "--num_workers") or 0), int(most or 0)


@pytest.mark.parametrize(
    ("has", "parameters", "usual", "most"),
    [
        pytest.param({}, AUTO, 4, 8, id="cores"),
        pytest.param({}, {**AUTO, "num_gpus": 4}, 0, 2, id="cores of several GPUs"),
        pytest.param({"memory": 12 << 30}, AUTO, 3, 3, id="memory"),
        pytest.param({"memory": 12 << 30}, {**AUTO, "val_split": 0.0}, 4, 6, id="memory of one loader"),
        pytest.param({"cores": 2}, AUTO, 0, 2, id="few cores"),
        pytest.param({"shared": 0}, AUTO, 0, 0, id="no shared memory"),
        pytest.param({}, {"num_workers": 2}, 2, 0, id="a number"),
        pytest.param({}, {}, 4, 0, id="the default"),
    ],
)
def test_auto_measures_up_to_what_the_machine_has(has, parameters, usual, most, machine, training, dataset):
    vars(machine).update(has)
    assert read_measured(training(dataset(), **parameters)) == (usual, most)


@pytest.mark.parametrize(
    ("shared", "parameters", "alone"),
    [(64 << 30, {"num_workers": 0}, True), (64 << 30, {}, False), (64 << 30, AUTO, False), (0, AUTO, True)],
    ids=["0 is typed", "the default", "measured", "no shared memory"],
)
def test_a_training_that_is_to_load_alone_knows_it(shared, parameters, alone, machine, training, dataset):
    machine.shared = shared
    assert ("--loads-alone" in get_work(training(dataset(), **parameters)).arguments) == alone


@pytest.mark.parametrize("chosen", [0, 2])
def test_a_measured_number_draws_what_it_would_draw_if_it_was_typed(monkeypatch, chosen):
    """So a run that is submitted again with the number is the same one."""
    monkeypatch.setattr(LoaderChoice, "_measure", lambda self, data, config: chosen)
    draws, config = RandomDraws(0, loads_alone=False), SimpleNamespace(num_workers=4)
    trainer = SimpleNamespace(make_train_eval_datasets=lambda config: ("training", "validation"))
    LoaderChoice(4, 8, 1, draws).install(trainer)
    assert trainer.make_train_eval_datasets(config) == ("training", "validation")
    assert (config.num_workers, draws.loads_alone) == (chosen, chosen == 0)


@pytest.mark.parametrize(
    ("usual", "most", "counts"), [(0, 2, [0, 2]), (4, 16, [2, 4, 8, 16]), (3, 3, [2, 3]), (0, 1, [0, 1])]
)
def test_the_usual_number_and_powers_of_two_are_tried(usual, most, counts):
    assert list_counts(usual, most) == counts


@pytest.mark.parametrize(
    ("rates", "chosen"), [({0: 10.0, 2: 19.0, 4: 19.5}, 2), ({0: 10.0, 2: 9.0}, 0), ({2: 10.0, 4: 20.0, 8: 40.0}, 8)]
)
def test_the_fewest_that_are_about_as_fast_as_the_fastest_are_chosen(rates, chosen):
    assert choose_count(rates) == chosen


def test_no_more_are_tried_once_more_are_slower_or_the_time_is_over(monkeypatch):
    rates = {0: 10.0, 2: 20.0, 4: 15.0, 8: 30.0}
    monkeypatch.setattr(loading_speed, "_measure_rate", lambda data, config, count, seed, seconds: rates[count])
    monkeypatch.setattr(loading_speed, "_keep_random_state", contextlib.nullcontext)
    assert measure_rates(None, None, [*rates]) == {0: 10.0, 2: 20.0, 4: 15.0}
    assert measure_rates(None, None, [*rates], seconds=0) == {0: 10.0}


@pytest.mark.slow
def test_a_training_measures_trains_the_same_and_keeps_the_number_when_it_is_resumed(train, recorded, tmp_path):
    parameters = STEPS | {"log_freq": 1, "training_steps": 4, "save_freq": 2}
    plain = train(recorded / "small", SMALL["act"], work="plain", **parameters)
    measured = train(recorded / "small", SMALL["act"], work="measured", **parameters | AUTO)
    assert measured.read_metric() == plain.read_metric()
    (chosen,) = [event.params["num_workers"] for event in measured.events(Track) if "num_workers" in event.params]
    assert any("samples per second with each number: 0: " in text for text in measured.notes)
    half = tmp_path / "half/000002"
    shutil.copytree(measured.work / "outputs/checkpoints/000002", half)
    config = half / "pretrained_model/train_config.json"
    assert json.loads(config.read_text())["num_workers"] == chosen
    resumed = train(recorded / "small", starts={"resume": half}, work="resumed", **parameters | AUTO)
    last = json.loads((resumed.work / "outputs/checkpoints/000004/pretrained_model/train_config.json").read_text())
    assert last["num_workers"] == chosen
    assert not any("samples per second" in text for text in resumed.notes)
