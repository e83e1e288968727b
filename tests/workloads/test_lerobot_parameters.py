"""Parameters of a training become LeRobot's options, and names of tracking. The kit checks each of them alone."""

import typing
from pathlib import Path

import pytest
from job_documents import check_job, get_work, read_options
from problem_assertions import check_problems
from pydantic import TypeAdapter, ValidationError
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.lineage import StartMode
from robotrain_workloads.lerobot.start import Start
from robotrain_workloads.lerobot_train import container, parameters, trainer_options
from robotrain_workloads.lerobot_train.parameters import TrainParameters
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN


@pytest.mark.parametrize(
    ("name", "bad"), [("dataset_id", "/absolute"), ("dataset_id", "../up"), ("register_checkpoint", "-dash")]
)
def test_a_value_out_of_bounds_is_refused(name, bad):
    with pytest.raises(ValidationError):
        TypeAdapter(TrainParameters).validate_python({name: bad})


def options(document) -> dict[str, str]:
    return read_options(get_work(document).arguments)


def test_an_option_that_robotrain_sets_is_owned_and_one_it_only_defaults_is_not(training):
    document, owned = training(), parameters.OWNED_OPTIONS.keys()
    for mode in typing.get_args(StartMode):
        job = LerobotJob(document, start=Start(mode=mode, folder=Path("/p")))
        assert read_options(trainer_options.make_owned_options(job, Path("/d"), Path("/o"))).keys() <= owned
        assert not read_options(trainer_options.make_default_options(job)).keys() & owned
    assert "--policy.device" in owned
    assert parameters.OWNED_OPTIONS["--dataset.use_imagenet_stats"].startswith("--image-normalization ")


@pytest.mark.parametrize(
    ("parameters", "split", "every"),
    [
        ({}, "0.1", "5000"),
        ({"val_split": 0}, "0", "0"),
        ({"eval_freq": 0}, "0.1", "0"),
        ({"eval_freq": 70}, "0.1", "70"),
        ({"training_steps": 300}, "0.1", "300"),
    ],
)
def test_a_loss_of_held_out_episodes_needs_some(training, parameters, split, every):
    arguments = options(training(**parameters))
    assert (arguments["--dataset.eval_split"], arguments["--eval_steps"]) == (split, every)


def test_a_short_run_is_logged_at_its_end_at_least(training):
    assert options(training(training_steps=40))["--log_freq"] == "40"


def test_an_option_after_the_dashes_takes_precedence_over_a_default(training):
    words = get_work(training(policy_type="lingbot_va", args=["--policy.attn_mode", "torch"])).arguments
    assert [word for word in words if "attn_mode" in word] == ["--policy.attn_mode"]


@pytest.mark.parametrize("kind", ["act", "diffusion", "vqbet"])
def test_a_new_policy_starts_from_the_weights_that_lerobot_starts_from(training, kind):
    arguments = options(training(policy_type=kind))
    assert not {"--policy.pretrained_backbone_weights", "--policy.use_group_norm"} & arguments.keys()


def test_a_network_and_the_rate_of_its_backbone_are_lerobots(training):
    for kind in ("act", "diffusion"):
        arguments = options(training(policy_type=kind, learning_rate=3e-4))
        assert arguments["--policy.optimizer_lr"] == "0.0003"
        assert not {"--policy.use_group_norm", "--policy.optimizer_lr_backbone"} & {*arguments}


def test_a_warm_up_is_the_policys_own_or_stands_beside_its_own_optimizer(training):
    assert options(training(lr_warmup_steps=50, policy_type="diffusion"))["--policy.scheduler_warmup_steps"] == "50"
    short = options(training(lr_warmup_steps=50, policy_type="smolvla", training_steps=900))
    assert (short["--policy.scheduler_warmup_steps"], short["--policy.scheduler_decay_steps"]) == ("50", "900")
    long = options(training(lr_warmup_steps=50, policy_type="smolvla", training_steps=90_000))
    assert "--policy.scheduler_decay_steps" not in long
    arguments = options(training(lr_warmup_steps=50, learning_rate=3e-4, args=["--policy.optimizer_weight_decay=0.01"]))
    assert arguments["--scheduler.type"] == "constant_with_warmup"
    assert arguments["--scheduler.num_warmup_steps"] == "50"
    assert (arguments["--optimizer.lr"], arguments["--optimizer.weight_decay"]) == ("0.0003", "0.01")


def test_an_optimizer_and_a_schedule_of_the_user_have_the_rate_and_the_warm_up_of_the_job(training):
    own = ["--use_policy_training_preset=false", "--optimizer.type=sgd", "--scheduler.type=constant_with_warmup"]
    for kind in ("act", "diffusion", "smolvla"):
        job = training(policy_type=kind, learning_rate=2e-4, lr_warmup_steps=10, args=own)
        arguments = options(job)
        assert (arguments["--optimizer.type"], arguments["--optimizer.lr"]) == ("sgd", "0.0002")
        assert arguments["--scheduler.num_warmup_steps"] == "10"
    assert "--scheduler.num_warmup_steps" not in options(training(args=own))


def test_a_type_is_given_the_option_without_which_lerobot_does_not_train_it(training):
    assert options(training(policy_type="lingbot_va"))["--policy.attn_mode"] == "flex"
    own = options(training(policy_type="lingbot_va", args=["--policy.attn_mode=torch"]))
    assert own["--policy.attn_mode"] == "torch"


def test_the_hub_is_off_only_when_every_source_is_local(training):
    remote = JobSource(role="dataset", kind="huggingface", uri="lerobot/pusht")
    assert get_work(training()).environ["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in get_work(training(remote)).environ


def test_a_type_that_lerobot_cannot_train_is_refused_with_the_reason():
    check_problems(check_job(LEROBOT_TRAIN, policy_type="gaussian_actor"), "type-not-trainable")
    assert check_job(LEROBOT_TRAIN, policy_type="smolvla", training_steps=1000) == []


def test_the_names_of_tracking_are_those_of_the_contract(training):
    args = ("--policy.dim_model=32", "--hub.token=SECRET", "--api_key", "SECRET")
    tracked = container.tracked(training(args=args, register_checkpoint="my_model", num_gpus=2, batch_size=8))
    assert tracked.params["options"] == "--policy.dim_model=32 '--hub.token=<redacted>' --api_key '<redacted>'"
    assert tracked.experiment == "lerobot-act-lerobot-act-training"
    assert tracked.params.keys() == {
        *("dataset_repo_id", "policy_type", "job_name", "training_steps", "batch_size", "learning_rate", "save_freq"),
        *("lr_warmup_steps", "system_metrics", "num_gpus", "mixed_precision", "distributed", "effective_batch_size"),
        *("output_dir", "seed", "num_workers", "eval_freq", "log_freq", "image_normalization", "options"),
        "statistics",
    }
    assert tracked.params["effective_batch_size"] == 16
    assert tracked.tags.keys() == {
        *("lerobot.framework", "lerobot.policy_type", "lerobot.job_name", "lerobot.num_gpus", "lerobot.distributed"),
        *("lerobot.mixed_precision", "dataset.repo_id", "dataset.source", "model.register_name"),
    }
    assert tracked.tags["dataset.source"] == "local-path"


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ((), {"batch_size": 32, "learning_rate": 1e-4, "save_freq": 5000, "val_split": 0.1}),
        (("--batch-size", "32", "--learning-rate", "1e-4", "--val-split", "0.1"), {"save_freq": 5000}),
        (("--policy-type", "diffusion", "--eval-freq", "0"), {"batch_size": 32, "save_freq": 5000}),
    ],
)
def test_a_default_that_is_not_lerobots_is_marked(robotrain, dataset, line, marked):
    words = ("--platform", "local", "--dataset-path", str(dataset()), *line)
    rows = robotrain("explain", "--json", *words).json["values"]
    assert {row["name"]: row["value"] for row in rows if "trainer_default" in row} == marked


def test_an_optimizer_of_the_user_has_its_own_rate(robotrain, dataset):
    own = ("--use_policy_training_preset=false", "--optimizer.type=sgd", "--scheduler.type=constant_with_warmup")
    words = ("--platform", "local", "--dataset-path", str(dataset()))
    rows = robotrain("explain", "--json", *words, "--", *own).json["values"]
    assert next(row["value"] for row in rows if row["name"] == "learning_rate") is None
