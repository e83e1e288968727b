"""`--mixed-precision`: what is refused before a run, and what half the bits change in one."""

from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Checkpoint, Outcome
from robotrain_workloads.lerobot_train import container
from small_training import SMALL, numbers

STILL = ("--policy.use_vae=false", "--policy.dropout=0")


def test_fp16_on_the_cpu_is_refused_because_accelerate_would_ignore_it(training, dataset):
    document = training(dataset(), device="cpu", mixed_precision="fp16")
    (problem,) = container.inspect(document, {})
    assert problem.startswith("--mixed-precision fp16 needs a GPU")
    assert "--mixed-precision bf16" in problem
    for allowed in ({"device": "cpu", "mixed_precision": "bf16"}, {"device": "cuda", "mixed_precision": "fp16"}):
        assert list(container.inspect(training(dataset(), **allowed), {})) == []


@pytest.mark.slow
@pytest.mark.long
def test_bf16_rounds_the_loss_and_leaves_the_weights_in_32_bits(train, pusht):
    given = {"training_steps": 2, "log_freq": 1, "save_freq": 2, "learning_rate": 3e-4}
    args = (*SMALL["act"], *STILL)
    plain, half = (train(pusht, args, work=name, mixed_precision=name, **given) for name in ("no", "bf16"))
    before, after = ([*ran.read_metric().values()] for ran in (plain, half))
    assert len(before) == 2
    assert after == pytest.approx(before, rel=0.02)
    assert all(one != other for one, other in zip(before, after, strict=True))
    (saved,) = half.events(Checkpoint)
    assert numbers(Path(saved.path)) == {"F32"}


@pytest.mark.slow
@pytest.mark.long
def test_fp16_where_no_gpu_turns_up_is_refused_by_the_training_itself(train, pusht):
    ran = train(pusht, device="auto", mixed_precision="fp16", exit_code=1)
    assert "--mixed-precision fp16 needs a GPU" in ran.events(Outcome)[0].reason


def test_what_no_machine_can_do_is_refused_before_anything_is_sent(robotrain, pusht):
    common = ("submit", "--platform", "local", "--dataset-path", pusht)
    for given in (("--device", "cpu", "--mixed-precision", "fp16"), ("--device", "mps", "--num-gpus", "2")):
        answer = robotrain(*common, *given)
        assert answer.exit_code == 2
        assert "[device-cannot]" in answer.stderr
