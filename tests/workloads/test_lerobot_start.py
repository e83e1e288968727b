"""The start of a training: from scratch, a policy, weights alone, or a checkpoint, also one that was downloaded."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain.errors import Stage
from robotrain.model.job import Job
from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import StageEvent
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.lerobot_train.parameters import TrainParameters
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

RUN = "lerobot-train-00000000-1"


def folders(document) -> dict[JobSource, Path]:
    return {source: Path(source.uri) for source in document.sources}


def work(document):
    """The command of a training that loads its data itself, so that no note says what the machine chose."""
    document = dataclasses.replace(document, parameters={**document.parameters, "num_workers": 0})
    return container.work(document, folders(document), Path(document.placement.work))


def options(document) -> dict[str, str]:
    arguments = work(document).arguments
    return dict(part.split("=", 1) for part in arguments if part.startswith("--") and "=" in part)


def find_problems(document) -> list[str]:
    return list(container.inspect(document, folders(document)))


@pytest.fixture
def make_own_output(training, pusht, saved, tmp_path):
    """The document of a run that was cut short after it saved these steps."""

    def make(*steps, output="outputs", run=RUN, **parameters):
        for step in steps:
            saved(f"work/{output}/checkpoints/{step:06}", step, run=run)
        return training(pusht, **{"training_steps": 500} | parameters)

    return make


def test_a_policy_brings_its_type_and_the_learning_rate_is_the_new_one(training, pusht, policy):
    folder = policy()
    found = options(training(pusht, starts={"policy": folder}, learning_rate=3e-4))
    assert found["--policy.path"] == str(folder)
    assert "--policy.type" not in found
    assert found["--policy.push_to_hub"] == "false"
    assert "--policy.repo_id" not in found
    assert found["--policy.optimizer_lr"] == found["--policy.optimizer_lr_backbone"] == "0.0003"
    assert found["--policy.pretrained_backbone_weights"] == "null"
    assert "--random-backbone" not in work(training(pusht, starts={"policy": folder})).arguments


def test_of_a_checkpoint_the_model_inside_it_is_the_policy(training, pusht, saved):
    at = saved("run/checkpoints/000006", 6)
    document = training(pusht, starts={"policy": at})
    assert options(document)["--policy.path"] == str(at / "pretrained_model")
    assert "--tag=parent_run=lerobot-train-00000000-1" in work(document).arguments
    assert "--tag=parent_step=6" in work(document).arguments


def test_a_warm_up_stands_beside_the_weight_decay_that_the_policy_has(training, pusht, policy):
    folder = policy(optimizer_weight_decay=0.01)
    assert options(training(pusht, starts={"policy": folder}, lr_warmup_steps=5))["--optimizer.weight_decay"] == "0.01"


def test_a_resumed_training_takes_everything_but_its_length_from_the_checkpoint(training, pusht, saved):
    at = saved("run/outputs/checkpoints/000400", 400)
    document = training(pusht, starts={"resume": at}, training_steps=1000, save_freq=50, lr_warmup_steps=7)
    found = options(document)
    assert found["--config_path"] == f"{at}/pretrained_model/train_config.json"
    assert (found["--resume"], found["--steps"], found["--save_freq"]) == ("true", "1000", "50")
    assert found["--output_dir"] == f"{document.placement.work}/outputs"
    assert found["--dataset.root"] == str(pusht)
    assert found["--first"] == "400"
    assert not {"--policy.path", "--policy.type", "--policy.optimizer_lr", "--scheduler.type"} & found.keys()


@pytest.mark.parametrize(
    ("given", "every"),
    [
        ({"training_steps": 450, "log_freq": 200}, ("50", "450")),
        ({"training_steps": 1000, "log_freq": 200, "eval_freq": 500}, ("200", "500")),
    ],
)
def test_the_rest_of_a_training_is_logged_and_evaluated_at_least_once(training, pusht, saved, given, every):
    at = saved("run/outputs/checkpoints/000400", 400)
    found = options(training(pusht, starts={"resume": at}, **given))
    assert (found["--log_freq"], found["--eval_steps"]) == every


def test_what_a_resumed_training_cannot_change_is_said(training, pusht, saved):
    diffuser = {"type": "diffuser", "num_warmup_steps": 500}
    at = saved("run/outputs/checkpoints/000400", 400, config={"scheduler": diffuser})
    same = {"learning_rate": 1e-4, "training_steps": 400}
    changed = {"learning_rate": 3e-4, "training_steps": 900, "lr_warmup_steps": 7, "seed": 2, "batch_size": 8}
    told = " / ".join(note.text for note in work(training(pusht, starts={"resume": at}, **same | changed)).notes)
    assert "resuming from step 400 of lerobot-train-00000000-1" in told
    assert "--learning-rate 0.0003 has no effect" in told
    assert "--lr-warmup-steps 7 has no effect" in told
    assert "spans 900 steps instead of 400" in told
    assert "--seed is 2 now, and was 1000" in told
    assert "--batch-size is 8 now, and was 32" in told
    assert len(work(training(pusht, starts={"resume": at}, **same)).notes) == 1


def test_what_is_tracked_of_a_resumed_training_is_the_rate_it_really_has(training, pusht, saved):
    at = saved("run/outputs/checkpoints/000400", 400)
    found = container.tracked(training(pusht, starts={"resume": at}, learning_rate=3e-4))
    assert found.params["learning_rate"] == 1e-4
    assert found.tags["resumed_from"] == str(at)
    assert not any(name.startswith("warm_start") for name in found.tags)


def test_a_warm_start_is_tracked_with_the_name_and_the_version_of_its_model(training):
    sources = {
        "models:/pusht/3": ("pusht", "3"),
        "azureml:act-pusht:7": ("act-pusht", "7"),
        "azureml://registries/r/models/m/versions/2": ("m", "2"),
    }
    for uri, (name, version) in sources.items():
        document = training()
        source = JobSource(role="init_policy", kind="registered_model", uri=uri)
        tags = container.tracked(dataclasses.replace(document, sources=(*document.sources, source))).tags
        assert tags["warm_start.source"] == uri
        assert (tags["warm_start.model_name"], tags["warm_start.model_version"]) == (name, version)
    tuned = container.tracked(training(starts={"policy": "/p"}))
    assert tuned.params["policy_repo_id"] == tuned.tags["warm_start.source"] == "/p"
    assert "warm_start.model_name" not in tuned.tags
    assert "policy_repo_id" not in container.tracked(training()).params


def test_two_starts_are_one_too_many():
    sources = (
        JobSource(role="dataset", kind="local_path", uri="/d"),
        JobSource(role="policy", kind="huggingface", uri="u/p"),
        JobSource(role="init_policy", kind="registered_model", uri="models:/m/1"),
    )
    values = tuple(dataclasses.asdict(TrainParameters()).items())
    (problem,) = LEROBOT_TRAIN.check(Job(workload="lerobot-train", parameters=values, sources=sources))
    assert problem.stage.exit_code == 2
    assert problem.given == "policy u/p, init_policy models:/m/1"
    ways = [way.text for way in problem.suggestions]
    assert ways == ["--policy-repo-id u/p", "--init-from-policy-model models:/m/1"]
    assert not list(LEROBOT_TRAIN.check(Job(workload="lerobot-train", parameters=values, sources=sources[:2])))
    assert problem.stage is Stage.USAGE


@pytest.mark.parametrize(
    ("uri", "steps", "done"),
    [
        ("https://acc.blob.core.windows.net/c/ck/000004", 4, 4),
        ("/work/outputs/checkpoints/000400", 300, 400),
        ("/work/outputs/checkpoints/000400", 401, None),
        ("https://acc.blob.core.windows.net/c/of-day/202411", 100_000, None),
        ("https://acc.blob.core.windows.net/c/checkpoints/20241105", 100_000, None),
    ],
)
def test_going_on_where_no_steps_are_left_is_refused_before_it_is_sent(uri, steps, done):
    values = tuple(dataclasses.asdict(TrainParameters(training_steps=steps)).items())
    source = JobSource(role="resume", kind="blob_url", uri=uri)
    problems = list(LEROBOT_TRAIN.check(Job(workload="lerobot-train", parameters=values, sources=(source,))))
    ways = [way.text for problem in problems for way in problem.suggestions]
    assert ways == ([f"--training-steps {2 * done}"] if done else [])
    policy = dataclasses.replace(source, role="policy")
    assert not list(LEROBOT_TRAIN.check(Job(workload="lerobot-train", parameters=values, sources=(policy,))))


def test_a_run_that_was_cut_short_goes_on_from_its_last_checkpoint(make_own_output, tmp_path):
    document = make_own_output(100, 200)
    assert find_problems(document) == []
    found = options(document)
    assert found["--config_path"].startswith(f"{tmp_path}/work/outputs/checkpoints/000200/")
    assert found["--first"] == "200"
    (note,) = work(document).notes
    assert (note.level, note.text) == ("info", "an earlier attempt was interrupted: resuming from step 200")


def test_checkpoints_that_are_torn_are_put_aside_and_an_older_one_is_taken(make_own_output, saved, tmp_path):
    document = make_own_output(100, 200, 300)
    (tmp_path / "work/outputs/checkpoints/000200/pretrained_model/model.safetensors").write_bytes(b"torn")
    saved("work/outputs/checkpoints/000400", 400, sealed=False)
    (tmp_path / "work/outputs/checkpoints/000300/training_state/training_step.json").unlink()
    assert find_problems(document) == []
    done = work(document)
    checkpoints = tmp_path / "work/outputs/checkpoints"
    assert f"--config_path={checkpoints}/000100/pretrained_model/train_config.json" in done.arguments
    assert len(done.notes) == 4
    there = {path.name for path in checkpoints.iterdir()}
    assert there == {"000100", "000200.torn-1", "000300.torn-1", "000400.torn-1"}


def test_an_attempt_that_left_nothing_usable_is_put_aside_as_a_whole(training, pusht, saved, tmp_path):
    saved("work/outputs/checkpoints/000100", 100, sealed=False)
    document = training(pusht)
    assert find_problems(document) == []
    done = work(document)
    assert "--policy.type=act" in done.arguments
    assert not (tmp_path / "work/outputs").exists()
    assert (tmp_path / "work/outputs.torn-1/checkpoints").is_dir()
    assert "left no usable checkpoint" in done.notes[-1].text


def test_a_second_attempt_goes_on_from_its_own_checkpoint_rather_than_from_where_the_first_began(
    make_own_output, saved, policy
):
    at = saved("other/outputs/checkpoints/000400", 400, run="lerobot-train-99999999-1")
    document = make_own_output(450)
    begun = JobSource(role="resume", kind="local_path", uri=str(at))
    again = dataclasses.replace(document, sources=(*document.sources, begun))
    assert "000450" in options(again)["--config_path"]
    tuned = JobSource(role="policy", kind="local_path", uri=str(policy()))
    again = dataclasses.replace(document, sources=(*document.sources, tuned))
    assert "000450" in options(again)["--config_path"]
    assert "--policy.path" not in options(again)


def test_a_run_that_came_to_its_end_has_nothing_left_to_train(make_own_output):
    done = work(make_own_output(500))
    assert "no steps are left after step 500" in done.notes[-1].text
    ended = subprocess.run([sys.executable, *done.arguments], capture_output=True)  # here, where there is no LeRobot
    assert ended.returncode == 0, ended.stderr


def test_an_output_folder_elsewhere_is_the_runs_own_once_it_began_to_work_there(training, pusht, saved, tmp_path):
    out = tmp_path / "elsewhere"
    saved("elsewhere/checkpoints/000100", 100, sealed=False)
    document = training(pusht, output_dir=str(out))
    assert "is not empty" in find_problems(document)[0]
    (tmp_path / "work").mkdir()
    started = [StageEvent(name=name, state="started") for name in ("preflight", "environment", "data")]
    events = tmp_path / "work/events.jsonl"
    events.write_text("".join(event.format_event(one, 1.0) + "\n" for one in started))
    assert "is not empty" in find_problems(document)[0]
    with events.open("a") as file:
        file.write(event.format_event(StageEvent(name="work", state="started"), 2.0) + "\n")
    assert find_problems(document) == []


def test_checkpoints_of_another_run_are_never_gone_on_from_by_chance(training, pusht, saved, tmp_path):
    saved("elsewhere/checkpoints/000100", 100, run="lerobot-train-99999999-3")
    document = training(pusht, output_dir=str(tmp_path / "elsewhere"))
    (told,) = find_problems(document)
    assert "checkpoints of the run lerobot-train-99999999-3" in told
    assert "--output-dir" in told


def test_a_resumed_run_leaves_the_folder_of_the_earlier_one_alone(training, pusht, saved, tmp_path):
    at = saved("other/outputs/checkpoints/000400", 400)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "other").rglob("*")}
    document = training(pusht, starts={"resume": at}, training_steps=500)
    assert find_problems(document) == []
    work(document)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "other").rglob("*")} == before
    assert checkpoint.validate_checkpoint(at) == ""
    assert json.loads((at / "training_state/training_step.json").read_text())["step"] == 400


@pytest.fixture
def make_downloaded(training, pusht, saved, tmp_path):
    """A document that saves in a folder of its own, where a checkpoint of this submission lies already."""

    def make(submission: str, run: str = RUN):
        at = saved("disk/out/checkpoints/000200", 200, sealed=False)
        checkpoint.seal_checkpoint(at, step=200, run=run, job="0" * 64, model="pretrained_model", submission=submission)
        return training(pusht, placement={"submission": "THIS_ONE"}, output_dir=str(tmp_path / "disk/out"))

    return make


def test_it_is_laid_where_the_run_saves_its_own(training):
    document = training()
    assert container.checkpoints(document, Path("/work")) == Path("/work/outputs/checkpoints")
    assert container.checkpoints(training(output_dir="/disk/out"), Path("/work")) == Path("/disk/out/checkpoints")


def test_an_output_folder_with_checkpoints_of_this_submission_is_the_runs_own(make_downloaded, tmp_path, monkeypatch):
    monkeypatch.setenv("THIS_ONE", "wf-1")
    document = make_downloaded("wf-1")
    assert find_problems(document) == []
    data = {source: Path(source.uri) for source in document.sources}
    found = container.work(document, data, Path(document.placement.work))
    assert f"--config_path={tmp_path}/disk/out/checkpoints/000200/pretrained_model/train_config.json" in found.arguments


@pytest.mark.parametrize(
    ("submission", "here", "run"), [("wf-2", "wf-1", RUN), ("", "", RUN), ("wf-1", "wf-1", "another-1")]
)
def test_an_output_folder_of_somebody_else_is_not_written_to(make_downloaded, monkeypatch, submission, here, run):
    monkeypatch.setenv("THIS_ONE", here)
    (why,) = find_problems(make_downloaded(submission, run))
    assert why.endswith("--output-dir NEW_FOLDER")
