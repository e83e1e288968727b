"""The start of a training: from scratch, a policy, weights alone, or a checkpoint, also one that was downloaded."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import job_documents
import pytest
from job_documents import check_findings, check_job, find_problems
from problem_assertions import check_problems
from robotrain.errors import Stage
from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import StageEvent
from robotrain_workloads.lerobot_train import container
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

RUN = "lerobot-train-00000000-1"


def get_work(document):
    """The command of a training that loads its data itself, so that no note says what the machine chose."""
    return job_documents.get_work(dataclasses.replace(document, parameters={**document.parameters, "num_workers": 0}))


def read_options(document) -> dict[str, str]:
    return job_documents.read_options(get_work(document).arguments)


@pytest.fixture
def make_own_output(training, pusht, saved):
    """The document of a run that was interrupted after it saved these steps."""

    def make(*steps, **parameters):
        for step in steps:
            saved(f"work/outputs/checkpoints/{step:06}", step, run=RUN)
        return training(pusht, **{"training_steps": 500} | parameters)

    return make


def test_a_policy_brings_its_type_and_the_learning_rate_is_the_new_one(training, pusht, policy):
    folder = policy(optimizer_weight_decay=0.01)
    options = read_options(training(pusht, starts={"policy": folder}, learning_rate=3e-4))
    assert options["--policy.path"] == str(folder)
    assert options["--policy.push_to_hub"] == "false"
    assert options["--policy.optimizer_lr"] == "0.0003"
    saved = training(pusht, starts={"policy": policy("other", optimizer_lr=7e-5)})
    assert read_options(saved)["--policy.optimizer_lr"] == "7e-05"
    assert options["--policy.pretrained_backbone_weights"] == "null"
    assert not {"--policy.type", "--policy.repo_id", "--weights"} & options.keys()
    warmed_up = read_options(training(pusht, starts={"policy": folder}, lr_warmup_steps=5))
    assert warmed_up["--optimizer.weight_decay"] == "0.01"  # the policy's own


@pytest.mark.parametrize(
    ("kind", "is_wrong"),
    [
        ("pi9", True),
        ("gaussian_actor", True),
        (None, True),
        ("act", False),
    ],
)
def test_a_policy_of_a_type_that_cannot_be_trained_is_refused_by_its_configuration_alone(
    training, pusht, policy, kind, is_wrong
):
    document = training(pusht, starts={"policy": policy(type=kind)})
    check_findings(container.compare(document, job_documents.folders(document)), is_wrong)


def test_of_a_checkpoint_the_model_inside_it_is_the_policy(training, pusht, saved):
    folder = saved("run/checkpoints/000006", 6)
    arguments = get_work(training(pusht, starts={"policy": folder})).arguments
    assert f"--policy.path={folder}/pretrained_model" in arguments
    assert job_documents.read_request(arguments).tags.items() >= {"parent_run": RUN, "parent_step": "6"}.items()


def test_a_resumed_training_takes_everything_but_its_length_from_the_checkpoint(training, pusht, saved):
    folder = saved("run/outputs/checkpoints/000400", 400)
    document = training(pusht, starts={"resume": folder}, training_steps=1000, save_freq=50, lr_warmup_steps=7)
    options = read_options(document)
    expected = {"--resume": "true", "--steps": "1000", "--save_freq": "50"}
    expected |= {"--config_path": f"{folder}/pretrained_model/train_config.json", "--dataset.root": str(pusht)}
    assert options.items() >= {**expected, "--output_dir": f"{document.placement.work}/outputs"}.items()
    assert not {"--policy.path", "--policy.type", "--policy.optimizer_lr", "--scheduler.type"} & options.keys()
    assert job_documents.read_request(get_work(document).arguments).first == 400


@pytest.mark.parametrize(
    ("parameters", "intervals"),
    [
        ({"training_steps": 450, "log_freq": 200}, ("450", "450")),
        ({"training_steps": 1000, "log_freq": 200, "eval_freq": 500}, ("200", "500")),
    ],
)
def test_the_rest_of_a_training_is_logged_and_evaluated_at_least_once(training, pusht, saved, parameters, intervals):
    folder = saved("run/outputs/checkpoints/000400", 400)
    options = read_options(training(pusht, starts={"resume": folder}, **parameters))
    assert (options["--log_freq"], options["--eval_steps"]) == intervals


def test_what_a_resumed_training_cannot_change_is_noted(training, pusht, saved):
    diffuser = {"type": "diffuser", "num_warmup_steps": 500}
    folder = saved(
        "run/outputs/checkpoints/000400", 400, config={"scheduler": diffuser, "dataset": {"eval_split": 0.1}}
    )
    same = {"learning_rate": 1e-4, "training_steps": 400}
    changed = {
        "learning_rate": 3e-4,
        "training_steps": 900,
        "lr_warmup_steps": 7,
        "seed": 2,
        "batch_size": 8,
        "val_split": 0,
    }
    check_findings(
        [note.text for note in get_work(training(pusht, starts={"resume": folder}, **changed)).notes],
        7,
        "900 steps instead of 400",
    )
    assert len(get_work(training(pusht, starts={"resume": folder}, **same)).notes) == 1


def test_what_a_resumed_training_reads_and_in_which_order_is_as_before(robotrain, pusht, saved):
    """LeRobot takes everything from the configuration of the checkpoint."""
    config = {"batch_size": 8, "seed": 5, "dataset": {"eval_split": 0.25}, "eval_steps": 50, "optimizer": {"lr": 1e-5}}
    folder = saved("run/outputs/checkpoints/000400", 400, config=config)
    words = ("--platform", "local", "--dataset-path", str(pusht), "--resume-from", str(folder), "--seed", "7")
    values = {row["name"]: row["value"] for row in robotrain("explain", "--json", *words).json["values"]}
    expected = {"batch_size": 8, "seed": 7, "val_split": 0.25, "eval_freq": 50}
    assert {name: values[name] for name in expected} == expected


def test_a_learning_rate_that_nobody_gave_is_not_noted(training, pusht, saved):
    folder = saved("run/outputs/checkpoints/000400", 400)
    document = training(pusht, starts={"resume": folder}, training_steps=900)
    assert document.parameters["learning_rate"] is None
    assert "--learning-rate" not in " ".join(note.text for note in get_work(document).notes)


def test_a_resumed_training_is_tracked_with_the_rate_of_its_checkpoint(training, pusht, saved):
    folder = saved("run/outputs/checkpoints/000400", 400)
    tracked = container.tracked(training(pusht, starts={"resume": folder}, learning_rate=3e-4))
    assert tracked.params["learning_rate"] == 1e-4
    assert tracked.tags["resumed_from"] == str(folder)
    assert not any(name.startswith("warm_start") for name in tracked.tags)


@pytest.mark.parametrize(
    ("role", "uri", "name", "version"),
    [
        ("init_policy", "models:/pusht/3", "pusht", "3"),
        ("init_policy", "azureml:act-pusht:7", "act-pusht", "7"),
        ("init_policy", "azureml://registries/r/models/m/versions/2", "m", "2"),
        ("policy", "/p", None, None),
    ],
)
def test_a_warm_start_is_tracked_with_the_name_and_the_version_of_its_model(training, role, uri, name, version):
    source = JobSource(role=role, kind="registered_model", uri=uri)
    tracked = container.tracked(training(starts={role: source}))
    assert tracked.tags["warm_start.source"] == uri
    assert (tracked.tags.get("warm_start.model_name"), tracked.tags.get("warm_start.model_version")) == (name, version)
    assert tracked.params.get("policy_repo_id") == (uri if role == "policy" else None)


def test_two_starts_are_refused():
    dataset = JobSource(role="dataset", kind="local_path", uri="/d")
    policy = JobSource(role="policy", kind="huggingface", uri="u/p")
    (problem,) = job_documents.check_job(
        LEROBOT_TRAIN, dataset, policy, JobSource(role="init_policy", kind="registered_model", uri="models:/m/1")
    )
    assert problem.stage is Stage.USAGE
    check_problems([problem], "sources-conflict policy u/p, init_policy models:/m/1")
    assert check_job(LEROBOT_TRAIN, dataset, policy) == []


@pytest.mark.parametrize(
    ("backbones", "codes"),
    [
        ([("local_path", "/models/lab/vlm"), ("huggingface", "lab/other")], []),
        ([("local_path", "/models/lab/vlm")] * 2, ["sources-conflict"]),
        ([("local_path", "/models/lab/vlm"), ("huggingface", "lab/vlm@main")], ["sources-conflict"]),
        ([("local_path", "/")], ["backbone-unnamed"]),
        ([("local_path", "/models")], ["backbone-unnamed"]),
    ],
)
def test_each_backbone_stands_for_another_repository(backbones, codes):
    sources = [JobSource(role="backbone", kind=kind, uri=uri) for kind, uri in backbones]
    problems = check_job(LEROBOT_TRAIN, JobSource(role="dataset", kind="local_path", uri="/d"), *sources)
    check_problems(problems, *codes)


@pytest.mark.parametrize(
    ("uri", "steps", "done"),
    [
        ("https://acc.blob.core.windows.net/box/ck/000004", 4, 4),
        ("/work/outputs/checkpoints/000400", 300, 400),
        ("/work/outputs/checkpoints/000400", 401, None),
        ("https://acc.blob.core.windows.net/box/of-day/202411", 100_000, None),
        ("https://acc.blob.core.windows.net/box/checkpoints/20241105", 100_000, None),
    ],
)
def test_a_checkpoint_after_which_no_steps_are_left_is_refused_before_submission(uri, steps, done):
    problems = job_documents.check_job(
        LEROBOT_TRAIN, JobSource(role="resume", kind="blob_url", uri=uri), training_steps=steps
    )
    check_problems(problems, *["nothing-left-to-train"] * bool(done))
    assert check_job(LEROBOT_TRAIN, JobSource(role="policy", kind="blob_url", uri=uri), training_steps=steps) == []


def test_an_interrupted_run_resumes_from_its_last_checkpoint(make_own_output, tmp_path):
    document = make_own_output(100, 200)
    assert find_problems(document) == []
    options = read_options(document)
    assert options["--config_path"].startswith(f"{tmp_path}/work/outputs/checkpoints/000200/")
    assert job_documents.read_request(get_work(document).arguments).first == 200
    (note,) = get_work(document).notes
    assert (note.level, note.text) == ("info", "an earlier attempt was interrupted: resuming from step 200")


def test_torn_checkpoints_are_set_aside_and_an_older_one_is_taken(make_own_output, saved, tmp_path):
    document, checkpoints = make_own_output(100, 200, 300), tmp_path / "work/outputs/checkpoints"
    (checkpoints / "000200/pretrained_model/model.safetensors").write_bytes(b"torn")
    saved("work/outputs/checkpoints/000400", 400, sealed=False)
    (checkpoints / "000300/training_state/training_step.json").unlink()
    assert find_problems(document) == []
    work = get_work(document)
    assert f"--config_path={checkpoints}/000100/pretrained_model/train_config.json" in work.arguments
    assert len(work.notes) == 4
    names = {path.name for path in checkpoints.iterdir()}
    assert names == {"000100", "000200.torn-1", "000300.torn-1", "000400.torn-1"}


def test_an_attempt_that_left_nothing_usable_is_set_aside_as_a_whole(training, pusht, saved, tmp_path):
    saved("work/outputs/checkpoints/000100", 100, sealed=False)
    document = training(pusht)
    assert find_problems(document) == []
    work = get_work(document)
    assert "--policy.type=act" in work.arguments
    assert not (tmp_path / "work/outputs").exists()
    assert (tmp_path / "work/outputs.torn-1/checkpoints").is_dir()
    check_findings([work.notes[-1].text], fact="outputs.torn-1")


@pytest.mark.parametrize("role", ["resume", "policy"])
def test_a_second_attempt_resumes_from_its_own_checkpoint_rather_than_from_the_start_of_the_first(
    make_own_output, saved, policy, role
):
    start = policy() if role == "policy" else saved("other/outputs/checkpoints/000400", 400, run="another-1")
    options = read_options(make_own_output(450, starts={role: start}))
    assert "000450" in options["--config_path"]
    assert "--policy.path" not in options


def test_a_finished_run_has_nothing_left_to_train(make_own_output):
    work = get_work(make_own_output(500))
    check_findings([work.notes[-1].text], fact="no steps are left after step 500")
    ended = subprocess.run([sys.executable, *work.arguments], capture_output=True)  # here, where there is no LeRobot
    assert ended.returncode == 0, ended.stderr


def test_an_output_folder_elsewhere_is_the_runs_own_once_it_began_to_work_there(training, pusht, saved, tmp_path):
    saved("elsewhere/checkpoints/000100", 100, sealed=False)
    document = training(pusht, output_dir=str(tmp_path / "elsewhere"))
    check_findings(find_problems(document), fact="elsewhere is not empty")
    (tmp_path / "work").mkdir()
    events = tmp_path / "work/events.jsonl"
    for stages, is_own in ((("preflight", "environment", "data"), False), (("work",), True)):
        with events.open("a") as file:
            file.writelines(f"{event.format_event(StageEvent(name=name, state='started'), 1.0)}\n" for name in stages)
        assert (find_problems(document) == []) is is_own


def test_a_run_never_resumes_from_checkpoints_of_another_run(training, pusht, saved, tmp_path):
    saved("elsewhere/checkpoints/000100", 100, run="lerobot-train-99999999-3")
    check_findings(
        find_problems(training(pusht, output_dir=str(tmp_path / "elsewhere"))), fact="has checkpoints of the run"
    )


def test_a_resumed_run_leaves_the_folder_of_the_earlier_one_alone(training, pusht, saved, tmp_path):
    folder = saved("other/outputs/checkpoints/000400", 400)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "other").rglob("*")}
    document = training(pusht, starts={"resume": folder}, training_steps=500)
    assert find_problems(document) == []
    get_work(document)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "other").rglob("*")} == before
    assert checkpoint.validate_checkpoint(folder) == ""
    assert json.loads((folder / "training_state/training_step.json").read_text())["step"] == 400


@pytest.fixture
def make_downloaded(training, pusht, saved, tmp_path):
    """A document that saves in a folder of its own, where a checkpoint of this submission lies already."""

    def make(submission: str, run: str = RUN):
        folder, model = saved("disk/out/checkpoints/000200", 200, sealed=False), "pretrained_model"
        checkpoint.seal_checkpoint(folder, step=200, run=run, job="0" * 64, model=model, submission=submission)
        return training(pusht, placement={"submission": "THIS_ONE"}, output_dir=str(tmp_path / "disk/out"))

    return make


def test_checkpoints_lie_in_the_output_folder(training):
    assert container.checkpoints(training(), Path("/work")) == Path("/work/outputs/checkpoints")
    assert container.checkpoints(training(output_dir="/disk/out"), Path("/work")) == Path("/disk/out/checkpoints")


def test_an_output_folder_with_checkpoints_of_this_submission_is_the_runs_own(make_downloaded, tmp_path, monkeypatch):
    monkeypatch.setenv("THIS_ONE", "wf-1")
    document = make_downloaded("wf-1")
    assert find_problems(document) == []
    config = tmp_path / "disk/out/checkpoints/000200/pretrained_model/train_config.json"
    assert f"--config_path={config}" in get_work(document).arguments


@pytest.mark.parametrize(
    ("submission", "current", "run"), [("wf-2", "wf-1", RUN), ("", "", RUN), ("wf-1", "wf-1", "another-1")]
)
def test_an_output_folder_of_another_submission_is_not_written_to(
    make_downloaded, monkeypatch, submission, current, run
):
    monkeypatch.setenv("THIS_ONE", current)
    (problem,) = find_problems(make_downloaded(submission, run))
    assert problem.endswith("--output-dir NEW_FOLDER")
