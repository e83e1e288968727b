"""`--mixed-precision`: what is refused before a run, and what half the bits change in one."""

from pathlib import Path

import pytest
from job_documents import check_findings, find_problems, folders
from robotrain_runtime.contract.event import Checkpoint, Outcome
from robotrain_workloads.lerobot_train import container
from small_training import SMALL, numbers

STILL = ("--policy.use_vae=false", "--policy.dropout=0")


def test_fp16_on_the_cpu_is_refused_because_accelerate_would_ignore_it(training, dataset):
    document = training(dataset(), device="cpu", mixed_precision="fp16")
    check_findings(container.inspect(document, {}), fact="--mixed-precision bf16")
    for allowed in ({"device": "cpu", "mixed_precision": "bf16"}, {"device": "cuda", "mixed_precision": "fp16"}):
        assert list(container.inspect(training(dataset(), **allowed), {})) == []


@pytest.mark.slow
@pytest.mark.long
def test_bf16_rounds_the_loss_and_leaves_the_weights_in_32_bits(train, pusht):
    parameters = {"training_steps": 2, "log_freq": 1, "save_freq": 2, "learning_rate": 3e-4}
    args = (*SMALL["act"], *STILL)
    plain, half = (train(pusht, args, work=name, mixed_precision=name, **parameters) for name in ("no", "bf16"))
    before, after = ([*ran.read_metric().values()] for ran in (plain, half))
    assert len(before) == 2
    assert after == pytest.approx(before, rel=0.02)
    assert all(tensor != other for tensor, other in zip(before, after, strict=True))
    (saved,) = half.events(Checkpoint)
    assert numbers(Path(saved.path)) == {"F32"}


@pytest.mark.slow
def test_fp16_where_no_gpu_turns_up_is_refused_before_anything_is_fetched(train, pusht):
    ran = train(pusht, device="auto", mixed_precision="fp16", exit_code=4)
    assert "the job asks for 1 GPU" in ran.events(Outcome)[0].reason


def test_what_no_machine_can_do_is_refused_before_anything_is_sent(robotrain, pusht):
    common = ("submit", "--platform", "local", "--dataset-path", pusht)
    for flags in (
        ("--device", "cpu", "--mixed-precision", "fp16"),
        ("--device", "mps"),
        ("--device", "mps", "--num-gpus", "2"),
    ):
        robotrain(*common, *flags).check_problems(2, "device-cannot")
    words = ("submit", "lerobot-eval", "--platform", "local", "--policy-repo-id", "a/b", "--env", "pusht")
    robotrain(*words, "--device", "mps").check_problems(2, "device-cannot")


@pytest.mark.parametrize("platform", ["local", "slurm", "osmo", "azureml"])
def test_gpus_that_a_job_on_the_cpu_would_not_use_are_named(robotrain, platform):
    line = ("render", "--platform", platform, "-d", "lerobot/pusht", "--num-gpus", "2")
    assert "--num-gpus has no effect with --device cpu" in robotrain(*line, "--device", "cpu").stderr
    assert "--num-gpus has no effect" not in robotrain(*line, "--device", "cuda").stderr


def list_format_options(document, folders=None):
    """The options of the trainer that decide over the number format, of types with one and without."""
    names = ("--policy.dtype", "--policy.use_amp")
    options = container.work(document, folders or {}, Path(document.placement.work)).arguments
    return [option for option in options if option.startswith(names)]


@pytest.mark.parametrize(
    ("kind", "precision", "sent"),
    [
        ("pi0", "bf16", ["--policy.dtype=bfloat16"]),
        ("pi05", "no", ["--policy.dtype=float32"]),
        ("lingbot_va", "fp16", ["--policy.dtype=float16"]),
        ("lingbot_va", None, []),
        ("evo1", "bf16", ["--policy.use_amp=false"]),
        ("evo1", None, []),
        ("smolvla", "bf16", []),
        ("act", "fp16", []),
    ],
)
def test_a_type_with_a_number_format_of_its_own_is_told_it(training, kind, precision, sent):
    document = training(policy_type=kind, mixed_precision=precision)
    assert list_format_options(document) == sent
    environ = container.work(document, {}, Path(document.placement.work)).environ
    assert environ["ACCELERATE_MIXED_PRECISION"] == (precision or "no")


def test_a_policy_to_start_from_decides_by_its_own_type(training, policy, dataset):
    start, data = policy(type="xvla"), dataset()
    document = training(data, starts={"policy": start}, mixed_precision="bf16")
    assert list_format_options(document, folders(document)) == ["--policy.dtype=bfloat16"]
    amp = policy("amp", use_amp=True)
    document = training(data, starts={"policy": amp}, mixed_precision="bf16")
    assert list_format_options(document, folders(document)) == ["--policy.use_amp=false"]
    document = training(data, starts={"policy": start}, mixed_precision="fp16", device="cuda")
    check_findings(
        [problem for problem in find_problems(document) if "float16" in problem], fact="--mixed-precision bf16"
    )


def test_the_number_format_after_the_dashes_stays_and_may_not_contradict(training, robotrain):
    document = training(args=["--policy.dtype=bfloat16"], policy_type="pi0", mixed_precision="bf16")
    assert list_format_options(document) == ["--policy.dtype=bfloat16"]
    words = ("render", "--platform", "local", "--dataset-repo-id", "a/b", "--policy-type", "pi0")
    answer = robotrain(*words, "--mixed-precision", "bf16", "--", "--policy.dtype=float32")
    answer.check_problems(2, "device-cannot --mixed-precision")
    robotrain(*words, "--mixed-precision", "fp16").check_problems(2, "device-cannot --mixed-precision")
