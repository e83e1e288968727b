"""Episodes that a job leaves out: what is refused, what the trainer gets, and where people see it."""

import itertools
import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import job_documents
import pytest
from job_documents import check_findings, check_job, format_finding
from robotrain import api
from robotrain.model.run import Output
from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.run import checkpoint_lookup
from robotrain_workloads.lerobot import episode_numbers
from robotrain_workloads.lerobot_eval import container as eval_container
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL, follow_run
from robotrain_workloads.lerobot_train import container, episode_options, tracking
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN
from small_training import SMALL

CHOSEN, STREAMED = "--dataset.episodes", "--dataset.streaming=true"
DATASET = JobSource(role="dataset", kind="local_path", uri="/data")
POLICY = JobSource(role="policy", kind="local_path", uri="/policy")
FORMS = ["3,7-9", " 9, 7-8,3 ", "3,3,7-9,8", "[3, 7, 8, 9]", "[3, '7-9']"]


@pytest.mark.parametrize("text", FORMS)
def test_each_form_means_the_same_episodes(text):
    assert set(range(12)) - {*episode_numbers.leave_out(text, 12)} == {3, 7, 8, 9}


@pytest.mark.parametrize("text", ["one", "9-7", "3,,4", "-3", "1.5", "all"])
@pytest.mark.parametrize("workload", [LEROBOT_TRAIN, LEROBOT_EVAL])
def test_what_is_no_number_is_refused_before_any_dataset_is_read(workload, text):
    sources = (DATASET, POLICY) if workload is LEROBOT_EVAL else (DATASET,)
    (problem,) = check_job(workload, *sources, exclude_episodes=text)
    assert (problem.code, problem.where, problem.given) == ("value-invalid", "--exclude-episodes", text)


def test_an_evaluation_without_a_dataset_has_no_episodes_to_leave_out():
    (problem,) = check_job(LEROBOT_EVAL, POLICY, env="pusht", exclude_episodes="3")
    assert (problem.code, problem.where) == ("option-without-effect", "--exclude-episodes")


COMPARED = [
    # what is left out; LeRobot's options; other parameters, and whether the job cannot run
    ("3,7-9", [], {}, False),
    ("49", [], {}, False),
    ("50", [], {}, True),
    ("40-60", [], {}, True),
    ("0-49", [], {}, True),
    ("0-48", [], {}, False),
    ("3", [f"{CHOSEN}=[3,4]"], {}, False),
    ("3", [f"{CHOSEN}=[4]"], {}, False),
    ("3-4", [f"{CHOSEN}=[3,4]"], {}, True),
    ("3", [f"{CHOSEN}=null"], {}, False),
    ("3", [f"{CHOSEN}=[0x3,4]"], {}, False),
    ("3", [f"{CHOSEN}=[99]"], {}, True),
    ("3", [STREAMED], {"val_split": 0.0, "num_workers": 1}, True),
    ("3", [STREAMED], {}, False),  # held-out episodes make LeRobot read it as usual
]


@pytest.mark.parametrize(("excluded", "options", "parameters", "is_wrong"), COMPARED)
def test_a_training_is_compared_with_the_episodes_of_its_dataset(
    training, dataset, excluded, options, parameters, is_wrong
):
    document = training(dataset(total_episodes=50), options, exclude_episodes=excluded, **parameters)
    check_findings(map(format_finding, container.compare(document, job_documents.folders(document))), is_wrong)


@pytest.mark.parametrize(
    ("excluded", "requested", "is_wrong"),
    [("50", None, True), ("3", "3", True), ("0-49", None, True), ("3", "held-out", False), ("3", "3-4", False)],
)
def test_an_evaluation_is_compared_with_the_episodes_of_its_dataset(
    tmp_path, policy, dataset, excluded, requested, is_wrong
):
    data = dataset(total_episodes=50)
    document = job_documents.evaluation(
        tmp_path / "work", policy=policy(), dataset=data, exclude_episodes=excluded, replay_episodes=requested
    )
    findings = eval_container.compare(document, job_documents.folders(document))
    check_findings(findings, is_wrong, f"--exclude-episodes {excluded}")


def test_episodes_of_several_datasets_are_numbered_through(training, dataset):
    folders = [dataset(folder="first", total_episodes=50), dataset(folder="second", total_episodes=3)]
    for excluded, is_wrong in (("50-52", False), ("50-53", True)):
        document = training(folders, exclude_episodes=excluded)
        findings = map(format_finding, container.compare(document, job_documents.folders(document)))
        check_findings(findings, is_wrong, "there is no episode 53")


@pytest.fixture
def emitted(monkeypatch):
    events = []
    for module in (episode_options, event):
        monkeypatch.setattr(module, "emit_event", events.append)
    return events


@pytest.mark.parametrize(
    ("excluded", "arguments", "expected"),
    [
        ("3,7-9", [], [0, 1, 2, 4, 5, 6]),
        ("0-2", [f"{CHOSEN}=[8, 2, 5]"], [8, 5]),  # whose last ones are held out
        ("1-9", [f"{CHOSEN}=null"], [0]),
    ],
)
def test_the_trainer_is_given_the_other_episodes(dataset, emitted, excluded, arguments, expected):
    added = episode_options.make_episode_options(excluded, dataset(total_episodes=10), arguments)
    assert episode_options.parse_episodes([*arguments, *added]) == expected
    count = f"{len(expected)} of 10"
    assert emitted[0] == event.Track(params={"episodes": count})
    assert count in emitted[1].text
    assert excluded in emitted[1].text


def test_without_such_episodes_the_trainer_is_given_nothing(dataset, emitted):
    data = dataset(total_episodes=10)
    assert episode_options.make_episode_options("", data, []) == emitted == []
    assert episode_options.make_episode_options("", data, [f"{CHOSEN}=[1]"]) == []
    assert emitted[0] == event.Track(params={"episodes": "1 of 10"})


def test_a_resumed_training_leaves_out_what_its_checkpoint_did(dataset, emitted, tmp_path):
    config = tmp_path / "train_config.json"
    config.write_text(json.dumps({"dataset": {"episodes": [0, 1, 2]}}))
    resumed = [f"--config_path={config}"]
    added = episode_options.make_episode_options("2", dataset(total_episodes=10), resumed)
    assert episode_options.parse_episodes(added) == [0, 1]
    assert episode_options.parse_episodes([*resumed, f"{CHOSEN}=null"]) is None


def test_a_launcher_ends_where_no_episode_is_left(dataset, capsys):
    with pytest.raises(SystemExit):
        episode_options.make_episode_options("0-4", dataset(total_episodes=5), [])
    assert "--exclude-episodes 0-4" in capsys.readouterr().out


def test_tracking_lineage_and_the_card_name_them(training, dataset):
    document = training(dataset(), exclude_episodes="3,7-9")
    publishing = container.publishing(document, job_documents.folders(document))
    assert publishing.tags["excluded_episodes"] == publishing.lineage["excluded_episodes"] == "3,7-9"
    assert "Without the episodes 3,7-9" in publishing.description.splitlines()
    assert "- without the episodes 3,7-9" in dict(map(tuple, publishing.describes["sections"]))["Data"]
    assert tracking.describe_tracking_run(document, Path("o")).params["exclude_episodes"] == "3,7-9"
    assert "without" not in tracking._describe_data(training(dataset()))


def test_the_launcher_is_told(training, dataset):
    document = training(dataset(), exclude_episodes="3,7-9")
    words = job_documents.get_work(document).arguments
    assert job_documents.read_request(words).exclude_episodes == "3,7-9"


WITHOUT = ("--exclude-episodes", "none")
LINE = ("--platform", "local", "--no-pin", "--dataset-path")


@pytest.mark.parametrize("episodes", ["3,7-9", [3, "7-9"], [3, 7, 8, 9]])
def test_a_job_file_and_a_call_take_a_list(robotrain, tmp_path, pusht, episodes):
    (tmp_path / "job.yaml").write_text(
        json.dumps({"workload": "lerobot-train", "parameters": {"exclude_episodes": episodes}})
    )
    answer = robotrain("submit", tmp_path / "job.yaml", *LINE, pusht, "--dry-run", "--json")
    assert answer.exit_code == 0, answer.stderr
    rows = {row["name"]: row["value"] for row in answer.json["preview"]}
    meant = ",".join(map(str, episodes)) if isinstance(episodes, list) else episodes
    assert rows["episodes"] == f"46 of 50 episodes, without {meant}"
    assert rows["epochs"].endswith("each of 1,640 frames")
    called = api.render(platform="local", dataset_path=pusht, exclude_episodes=episodes)
    assert dict(called.job.parameters)["exclude_episodes"] == meant


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("--", f"{CHOSEN}=[0,1,2,3,4]"), "5 of 50 episodes"),
        (("--exclude-episodes", "4", "--", f"{CHOSEN}=[0,1,2,3,4]"), "4 of 50 episodes, without 4"),
    ],
)
def test_a_dry_run_counts_the_episodes_that_are_trained_on(robotrain, pusht, words, shown):
    answer = robotrain("submit", *LINE, pusht, "--dry-run", "--json", *words)
    assert {row["name"]: row["value"] for row in answer.json["preview"]}["episodes"] == shown


def test_the_evaluation_of_a_run_leaves_out_what_the_run_did_of_the_same_data():
    def make_job(*sources, **parameters):
        return SimpleNamespace(sources=sources, parameters=tuple(parameters.items()))

    trained = make_job(DATASET, exclude_episodes="3", packages=None)
    assert follow_run(make_job(DATASET, POLICY, packages=None), trained)["exclude_episodes"][0] == "3"
    other = JobSource(role="dataset", kind="local_path", uri="/other")
    for sources in itertools.permutations((DATASET, other)):
        assert follow_run(make_job(*sources, packages=None), trained) == {}
    assert follow_run(make_job(DATASET, packages=None), make_job(DATASET, exclude_episodes=None, packages=None)) == {}


@pytest.mark.parametrize(("words", "excluded"), [((), "3"), (("--exclude-episodes", "4"), "4"), (WITHOUT, None)])
def test_an_evaluation_that_says_which_leaves_out_those(
    robotrain, plain_platform, policy, monkeypatch, words, excluded
):
    saved = {5: Output(name="checkpoints/000005", kind="checkpoint", uri=str(policy()), step=5, source="local_path")}
    monkeypatch.setattr(checkpoint_lookup, "list_checkpoints", lambda record, platform: saved)
    data = ("--dataset-repo-id", "lerobot/pusht", "--json", "--platform")
    run = robotrain("submit", *data, "plain", "--no-pin", "--exclude-episodes", "3").json["run"]
    answer = robotrain("explain", "lerobot-eval", *data, "local", "--policy-run", run, *words)
    assert answer.exit_code == 0, answer.stdout
    values = {row["name"]: row["value"] for row in answer.json["values"]}
    assert values["exclude_episodes"] == excluded


def test_the_evaluation_of_a_pipeline_leaves_out_the_same(robotrain, pusht):
    words = ("pipeline", "train-eval", *LINE, pusht, "--exclude-episodes", "3", "--dry-run", "--json")
    answer = robotrain(*words)
    assert answer.exit_code == 0, answer.stderr
    shown = {(row["step"], row["name"]): row["value"] for row in answer.json["preview"]}
    assert (shown["train", "episodes"], shown["evaluate", "left out"]) == ("49 of 50 episodes, without 3", "3")


def test_a_suggestion_to_leave_an_episode_out_keeps_those_that_are():
    text = "episode 5, frame 3: it cannot be decoded (--exclude-episodes 5)"
    assert episode_numbers.keep_excluded(text, "3,7-9").endswith("(--exclude-episodes 3,7-9,5)")
    assert episode_numbers.keep_excluded(text, None) == episode_numbers.keep_excluded(text, "") == text


DAMAGE = """
import glob, sys
import pyarrow as pa
import pyarrow.parquet as pq
(path,) = glob.glob(sys.argv[1] + "/data/*/*.parquet")
table = pq.read_table(path)
field, values = table.schema.field("action"), table.column("action").to_pylist()
values[15] = [float("nan")] * 2
pq.write_table(table.set_column(table.schema.get_field_index("action"), field, pa.array(values, field.type)), path)
"""
"""Of episodes of ten frames, the second gets a value that is no number."""


@pytest.fixture
def damaged(recorded, tmp_path, training_environment) -> Path:
    data = shutil.copytree(recorded / "small", tmp_path / "damaged")
    subprocess.run([Path(training_environment) / "bin/python", "-c", DAMAGE, data], check=True)
    return data


@pytest.mark.slow
def test_a_dataset_with_a_bad_episode_trains_without_it(train, damaged):
    refused = train(damaged, SMALL["act"], work="refused", exit_code=4)
    assert any("episode 1" in line and "not a finite number" in line for line in refused.lines)

    ran = train(damaged, SMALL["act"], exclude_episodes="1", val_split=0.3, tracked=True)
    assert [*ran.read_metric("val/loss")] == [3, 6]
    assert ran.read_metric("train/loss").keys() == {2, 4, 6}
    config = json.loads((ran.work / "outputs/checkpoints/000006/pretrained_model/train_config.json").read_text())
    assert config["dataset"]["episodes"] == [0, 2, 3]
    assert any("training on 3 of 4 episodes" in note for note in ran.notes)
    params = dict(ran.ask("select key, value from params"))
    assert (params["exclude_episodes"], params["episodes"]) == ("1", "3 of 4")


@pytest.mark.slow
def test_the_machine_that_sends_the_job_does_not_judge_episodes_that_are_left_out(
    robotrain, damaged, training_python, tmp_path, monkeypatch
):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    line = ("submit", "--platform", "local", "--dataset-path", damaged, "--checker", training_python, "--dry-run")
    for excluded, exit_code in (("0", 4), ("1", 0)):
        answer = robotrain(*line, "--exclude-episodes", excluded, "--", *SMALL["act"])
        assert answer.exit_code == exit_code, answer.stderr
