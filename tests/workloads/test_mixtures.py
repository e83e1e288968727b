"""Mixtures: how weights are given, what is refused, and in which order the samples are drawn."""

import itertools
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import job_documents
import numpy as np
import pytest
from job_documents import check_job
from robotrain import api
from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot import dataset as lerobot_dataset
from robotrain_workloads.lerobot import dataset_preparation, dataset_shares
from robotrain_workloads.lerobot.dataset_shares import Share
from robotrain_workloads.lerobot_mixture import training as mixture_training
from robotrain_workloads.lerobot_mixture.episode_split import MixtureEpisodes
from robotrain_workloads.lerobot_mixture.training import BLOCK, MixtureSampler
from robotrain_workloads.lerobot_train import container, tracking
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN
from small_training import SMALL, STEPS

ONE, TWO, THREE = (JobSource(role="dataset", kind="local_path", uri=f"/data/{name}") for name in ("a", "b", "c"))


class Sampler:
    """LeRobot's, with the order of numpy: shuffled anew each epoch, by the seed."""

    def __init__(self, starts, ends, episode_indices_to_use=None, seed=0):
        read = range(len(starts)) if episode_indices_to_use is None else episode_indices_to_use
        self.frames = [frame for episode in read for frame in range(starts[episode], ends[episode])]
        self.seed, self.epoch, self.start = seed, 0, 0

    def __len__(self):
        return len(self.frames)

    def load_state_dict(self, state):
        self.epoch, self.start = state["epoch"], state["start_index"]

    def __iter__(self):
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.frames)[self.start :]
        self.epoch, self.start = self.epoch + 1, 0
        return iter(order.tolist())


def make_sampler(parts, lengths, seed=7):
    ends = list(itertools.accumulate(lengths))
    sources = [
        Sampler([end - length], [end], seed=seed + i) for i, (length, end) in enumerate(zip(lengths, ends, strict=True))
    ]
    return MixtureSampler(sources, parts, seed)


def draw(sampler, count):
    return list(itertools.islice(itertools.chain.from_iterable(iter(lambda: iter(sampler), None)), count))


@pytest.mark.parametrize("parts", [(0.7, 0.3), (0.01, 0.99), (0.2, 0.3, 0.5), (0.0002, 0.9998), (1 / 3, 1 / 3, 1 / 3)])
def test_shares_of_100000_samples_are_within_a_hundredth(parts):
    lengths = [300, 50, 1000][: len(parts)]
    frames, count = draw(make_sampler(parts, lengths), 100_000), 100_000
    owners = np.searchsorted(np.cumsum(lengths), frames, side="right")
    shares = np.bincount(owners, minlength=len(parts)) / count
    np.testing.assert_allclose(shares, parts, rtol=0.01, atol=1 / count)


def test_a_source_is_read_whole_before_it_is_read_again():
    lengths = [30, 70]
    frames = draw(make_sampler((0.8, 0.2), lengths), 3000)
    for begin, length in ((0, 30), (30, 70)):
        own = [frame for frame in frames if begin <= frame < begin + length]
        epochs = [own[at : at + length] for at in range(0, len(own) - length + 1, length)]
        assert len(epochs) > 5
        assert all(sorted(epoch) == [*range(begin, begin + length)] for epoch in epochs)
        assert epochs[0] != epochs[1], "it is shuffled anew"


@pytest.mark.parametrize("position", [0, 1, 99, 100, 101, BLOCK - 1, BLOCK, BLOCK + 1, 4321])
def test_a_resumed_training_draws_what_an_uncut_one_draws(position):
    uncut = draw(make_sampler((0.7, 0.3), [37, 63]), 6000)
    resumed = make_sampler((0.7, 0.3), [37, 63])
    epoch, start = divmod(position, len(resumed))
    resumed.load_state_dict({"epoch": epoch, "start_index": start})
    assert draw(resumed, 1500) == uncut[position : position + 1500]
    owners = Counter(frame >= 37 for frame in uncut[:position])
    assert make_sampler((0.7, 0.3), [37, 63]).count_draws(position) == [owners[False], owners[True]]
    assert draw(make_sampler((0.7, 0.3), [37, 63], seed=8), 100) != uncut[:100]


def test_one_source_is_read_in_the_order_of_plain_training():
    assert draw(make_sampler((1.0,), [40]), 100) == draw(Sampler([0], [40], seed=7), 100)


@pytest.fixture
def notes(monkeypatch):
    events = []
    for module in (mixture_training, event):
        monkeypatch.setattr(module, "emit_event", events.append)
    return events


def test_the_trainer_draws_from_the_episodes_of_each_dataset(notes, tmp_path):
    (tmp_path / "meta").mkdir()
    sizes = [{"total_episodes": 2, "total_frames": 20}, {"total_episodes": 3, "total_frames": 30}]
    dataset_preparation.write_source_sizes(tmp_path, sizes)
    trainer = SimpleNamespace(EpisodeAwareSampler=Sampler)
    mixture_training.install_mixture(trainer, [["a", 0.75], ["b", 0.25]], tmp_path, 400)
    bounds = [*range(0, 50, 10)], [*range(10, 60, 10)]
    frames = draw(trainer.EpisodeAwareSampler(*bounds, episode_indices_to_use=[0, 2, 4], seed=3), 4000)
    assert {frame // 10 for frame in frames} == {0, 2, 4}
    assert sum(frame < 20 for frame in frames) == pytest.approx(3000, abs=40)
    assert "0.75 from a (10 frames, 29.8 epochs); 0.25 from b (20 frames, 5.1 epochs)" in notes[0].text
    assert notes[1].params == {"mixture_epochs": "29.8,5.1"}


def make_mixture(folder, tasks, bags, monkeypatch):
    """Return the episodes of a mixture; `tasks` has those of each dataset's episodes."""
    (folder / "meta").mkdir()
    sizes = [{"total_episodes": len(texts), "total_frames": len(texts)} for texts in tasks]
    dataset_preparation.write_source_sizes(folder, sizes, bags)
    first_tasks = list(enumerate(itertools.chain(*tasks)))
    monkeypatch.setattr(lerobot_dataset, "read_first_tasks", lambda root: iter(first_tasks))
    return MixtureEpisodes(folder, [f"/data/{name}" for name in "abc"[: len(tasks)]])


SPLITS = [
    # tasks of each dataset, bags, chosen episodes, part, held out
    (["p" * 50, "p" * 5], None, None, 0.1, [45, 46, 47, 48, 49, 54]),
    (["p" * 20, "p"], None, None, 0.1, [17, 18, 19]),
    (["p", "p" * 20], None, None, 0.1, [18, 19, 20]),
    (["ppqq", "pp", "q"], None, None, 0.3, [1, 3, 5]),
    (["ppp", "qqq"], None, None, 0.5, [1, 2, 4, 5]),
    (["pppp", "pppp"], None, [0, 1, 2, 3, 7], 0.2, [3]),
    (["pppp", "pppp"], None, [3, 2, 1, 0, 7, 6], 0.3, [0, 6]),
    (["pppp", "pp"], [2, 2, 2], None, 0.3, [2, 3]),
]


@pytest.mark.parametrize(("tasks", "bags", "chosen", "part", "held_out"), SPLITS)
def test_the_last_episodes_of_each_dataset_are_held_out(tmp_path, monkeypatch, tasks, bags, chosen, part, held_out):
    mixture_episodes = make_mixture(tmp_path, tasks, bags, monkeypatch)
    order = mixture_episodes.order(chosen, part) or chosen or range(sum(map(len, tasks)))
    first_tasks = enumerate("".join(tasks))
    assert lerobot_dataset.select_last_episodes(first_tasks, part, order) == held_out
    assert sorted(order) == sorted(chosen or range(sum(map(len, tasks))))


def test_a_mixture_whose_split_is_that_of_lerobot_keeps_its_order(tmp_path, monkeypatch):
    assert make_mixture(tmp_path, ["p" * 10, "q" * 20], None, monkeypatch).order(None, 0.1) is None


@pytest.mark.parametrize(
    ("chosen", "part", "fact"),
    [
        (None, 0.8, "--val-split 0.8; --no-val-split"),
        ([0, 1], 0.0, "all are left out"),
    ],
)
def test_a_dataset_without_episodes_to_train_on_is_said_before_the_trainer_starts(
    tmp_path, monkeypatch, capsys, chosen, part, fact
):
    mixture_episodes = make_mixture(tmp_path, ["ppp", "pp"], None, monkeypatch)
    with pytest.raises(SystemExit):
        mixture_episodes.describe_split(mixture_episodes.order(chosen, part) or chosen, part)
    assert "no episode of /data/b is trained on" in (sentence := capsys.readouterr().out)
    assert fact in sentence


@pytest.mark.parametrize(
    ("excluded", "arguments", "is_wrong"),
    [("50-52", (), True), (None, ("--dataset.episodes=[1,2]",), True), ("50-51", (), False)],
)
def test_a_dataset_of_which_no_episode_is_chosen_is_refused(training, dataset, excluded, arguments, is_wrong):
    folders = [dataset(folder="first", total_episodes=50), dataset(folder="second", total_episodes=3)]
    document = training(folders, args=arguments, exclude_episodes=excluded, mixture="0.7,0.3")
    findings = map(job_documents.format_finding, container.compare(document, job_documents.folders(document)))
    job_documents.check_findings(findings, is_wrong, "its episodes are 50 to 52")


REFUSED = [
    ("0.7", [ONE, TWO], "1 weight"),
    ("0.7,0.3", [ONE, TWO, THREE], "2 weight"),
    ("0.7,0.3", [ONE], "2 weight"),
    *((f"1,{wrong}", [ONE, TWO], "greater than 0") for wrong in ("0", "-1", "nan", "inf", "1e999")),
    ("1,half", [ONE, TWO], "'half' is not a number"),
    ("1,", [ONE, TWO], "a weight is missing"),
]


@pytest.mark.parametrize(("text", "sources", "fact"), REFUSED)
def test_weights_that_are_no_mixture_are_refused(text, sources, fact):
    (problem,) = check_job(LEROBOT_TRAIN, *sources, mixture=text)
    assert (problem.code, problem.where) == ("value-invalid", "--mixture")
    assert fact in problem.title


@pytest.mark.parametrize(("options", "codes"), [([], []), (["--dataset.streaming=true"], ["options-conflict"])])
def test_a_mixture_is_not_streamed(options, codes):
    assert [problem.code for problem in check_job(LEROBOT_TRAIN, ONE, TWO, args=options, mixture="[2, '1']")] == codes


def test_weights_become_shares_of_the_samples():
    shares = dataset_shares.list_shares({"mixture": "3e300,1e300"}, (ONE, TWO))
    assert shares == [Share("/data/a", 0.75), Share("/data/b", 0.25)]
    assert not dataset_shares.list_shares({"mixture": "3"}, (ONE,))
    assert not dataset_shares.list_shares({"mixture": None}, (ONE, TWO))


def test_the_job_and_its_lineage_have_the_shares(training, dataset):
    folders = [dataset(folder="first"), dataset(folder="second")]
    document = training(folders, mixture="3,1")
    shares = dataset_shares.list_shares(document.parameters, document.sources)
    assert shares == [(str(folders[0]), 0.75), (str(folders[1]), 0.25)]
    assert tracking.make_lineage(document)["dataset_shares"] == "0.75,0.25"
    assert tracking.describe_tracking_run(document, folders[0]).params["mixture"] == "3,1"
    assert tracking.make_lineage(training(folders))["dataset_shares"] is None


@pytest.fixture
def folders(tmp_path, monkeypatch, dataset):
    """Two datasets in the working folder, one whose name ends as a weight does."""
    made = dataset(folder="a")
    for name in ("b", "c=0.3"):
        (made.parent / name).symlink_to(made)
    monkeypatch.chdir(made.parent)


LINES = [
    ({"dataset_path": ["a=0.7", "b=.3"]}, "0.7,.3", ["a", "b"]),
    ({"dataset_path": ["a=2", "c=0.3=1e-1"]}, "2,1e-1", ["a", "c=0.3"]),
    ({"dataset_path": ["a", "c=0.3"]}, None, ["a", "c=0.3"]),
    ({"dataset_path": ["a", "b"], "mixture": "1,2"}, "1,2", ["a", "b"]),
    ({"dataset_path": ["a=1", "b=3"], "mixture": "1,2"}, "1,2", ["a", "b"]),
]


@pytest.mark.parametrize(("values", "weights", "names"), LINES)
def test_a_weight_stands_after_the_name_of_a_dataset(folders, values, weights, names):
    job = api.render(platform="local", **values).job
    assert dict(job.parameters)["mixture"] == weights
    assert [Path(source.uri).name for source in job.sources if source.role == "dataset"] == names


def test_weights_are_in_the_order_of_datasets_of_several_kinds(robotrain, folders):
    words = ("--dataset-repo-id", "x/y=1", "--dataset-path", "b=3", "--dataset-repo-id", "x/z@main=2")
    shown = robotrain("explain", "lerobot-train", "--platform", "local", *words, "--json").json["values"]
    values = {row["name"]: row["value"] for row in shown}
    assert values["mixture"] == "1,3,2"


def test_a_dataset_without_a_weight_among_others_is_refused(robotrain, folders):
    words = ("--dataset-path", "a=0.7", "--dataset-path", "b")
    answer = robotrain("submit", "lerobot-train", "--platform", "local", *words, "--dry-run")
    answer.check_problems(2, "weights-incomplete --dataset-path")


@pytest.mark.parametrize(("paths", "parameters"), [(("a=2", "b=1"), ""), (("a", "b"), "mixture: [2, 1]")])
def test_a_job_file_has_the_weights_of_its_datasets_only(robotrain, folders, paths, parameters):
    lines = (f"    - local_path: {path}\n" for path in paths)
    text = f"workload: lerobot-train\nparameters: {{{parameters}}}\nsources:\n  dataset:\n{''.join(lines)}"
    Path("job.yaml").write_text(text)
    words = ("explain", "job.yaml", "--platform", "local", "--json")
    (row,) = (row for row in robotrain(*words).json["values"] if row["name"] == "mixture")
    assert row["value"].replace(" ", "") == "2,1"
    answer = robotrain(*words, "--dataset-path", "a")
    if parameters:
        answer.check_problems(2, "value-invalid --mixture")
    else:
        (row,) = (row for row in answer.json["values"] if row["name"] == "mixture")
        assert row["value"] is None


@pytest.mark.slow
def test_a_mixture_goes_on_as_if_it_had_not_been_cut(train, recorded):
    folders = [recorded / "small", recorded / "larger"]
    options = STEPS | {"training_steps": 4, "save_freq": 2, "mixture": "3,1"}
    whole = train(folders, SMALL["act"], **options)
    halfway = whole.work / "outputs/checkpoints/000002"
    resumed = train(folders, (), {"resume": halfway}, work="resumed", **options)
    for file in ("pretrained_model/model.safetensors", "training_state/rng_state.safetensors"):
        first, second = (ran.work / "outputs/checkpoints/000004" / file for ran in (whole, resumed))
        assert first.read_bytes() == second.read_bytes(), file
    assert any("0.75 from" in note and "0.25 from" in note for note in whole.notes)


@pytest.mark.slow
def test_a_mixture_holds_out_of_the_larger_dataset_what_the_smaller_lacks(train, recorded):
    """Without the order of ours, the only episode of the second dataset that is chosen would be held out."""
    folders = [recorded / "small", recorded / "two-tasks"]
    options = STEPS | {"training_steps": 2, "save_freq": 2, "mixture": "3,1", "exclude_episodes": "5"}
    ran = train(folders, SMALL["act"], **options)
    assert any("1 of 4 of" in note and "0 of 1 of" in note for note in ran.notes)
    config = json.loads((ran.work / "outputs/checkpoints/000002/pretrained_model/train_config.json").read_text())
    assert config["dataset"]["episodes"][-1] == 3
