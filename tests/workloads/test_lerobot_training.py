"""Real trainings of a few steps, in the locked environment: what a user's log, folder and MLflow hold afterwards."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from robotrain_runtime.contract import claim
from robotrain_runtime.contract.event import Checkpoint, Metrics, Outcome, Tracking
from small_training import SMALL, Trained, read_lines_until

pytestmark = pytest.mark.slow

TRAIN_METRICS = {
    *("train/samples", "train/episodes", "train/epoch", "train/loss", "train/grad_norm", "train/learning_rate"),
    *("train/update_time_s", "train/data_time_s"),
}


@pytest.mark.parametrize("policy", ["act", "diffusion"])
def test_a_training_reports_exact_metrics_and_tracks_them(train, pusht, policy):
    ran = train(pusht, SMALL[policy], policy_type=policy, learning_rate=3e-4, eval_freq=3, tracked=True)

    metrics = [event for event in ran.events(Metrics) if event.step is not None]
    windows = [event for event in metrics if "train/loss" in event.values]
    assert all(event.values.keys() == TRAIN_METRICS and event.total == 6 for event in windows)
    assert ran.read_metric("train/samples") == {2: 8, 4: 16, 6: 24}
    held_out = ran.read_metric("val/loss")
    assert [*held_out] == [3, 6]
    assert all(0 < loss < 1e4 and loss != round(loss, 4) for loss in held_out.values())

    saved = ran.events(Checkpoint)
    assert [event.step for event in saved] == [3, 6]
    assert all((Path(event.path) / event.model / "model.safetensors").is_file() for event in saved)
    assert Path(saved[-1].path) == ran.work / "outputs" / "checkpoints" / "000006"
    assert ran.events(Outcome) == [Outcome(state="succeeded", exit_code=0)]

    ((status, name),) = ran.ask("select status, name from runs")
    assert (status, name) == ("FINISHED", "lerobot-act-training")
    experiments = ran.ask("select name from experiments where experiment_id <> 0")
    assert experiments == [(f"lerobot-{policy}-lerobot-act-training",)]
    stored = ran.ask("select key, step, value from metrics where key not like 'system/%'")
    assert sorted(stored) == sorted(
        (key, event.step, value) for event in metrics for key, value in event.values.items()
    )
    params = dict(ran.ask("select key, value from params"))
    expected = {"policy_type": policy, "learning_rate": "0.0003", "val_split": "0.1"}
    assert params.items() >= {**expected, "output_dir": str(ran.work / "outputs")}.items()
    tags = dict(ran.ask("select key, value from tags"))
    assert tags["training_status"] == "completed"
    assert tags["checkpoint_000006_artifact"] == "checkpoints/000006"
    machine = {key for (key,) in ran.ask("select distinct key from metrics where key like 'system/%'")}
    assert {"system/cpu_utilization_percentage", "system/memory_percent", "system/disk_percent"} <= machine
    assert len(ran.events(Tracking)) == 1


def test_a_training_that_diverges_fails_and_leaves_nothing_to_register(train, recorded, tmp_path):
    parameters = {"learning_rate": 1e36, "register_checkpoint": "m", "tracked": True}
    ran = train(recorded / "small", SMALL["act"], **parameters, exit_code=1)
    (outcome,) = ran.events(Outcome)
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    assert re.match(r"the weights are NaN or infinite at step 3 \(.+\): ", outcome.reason)
    assert "--allow-non-finite" in outcome.reason
    assert ran.events(Checkpoint) == []
    assert ran.ask("select name from registered_models") == []
    command = [sys.executable, "-m", "robotrain_runtime", "register", tmp_path / "work.json", "m"]
    by_hand = subprocess.run(command, capture_output=True, text=True, check=False)
    assert by_hand.returncode == 4
    assert "no complete checkpoint" in by_hand.stderr


CANARY = "Zq7Xk2Vw9Rt4Lm8N"
SECRETS = {
    "HF_TOKEN": f"hf_{CANARY}{CANARY}",
    "WANDB_API_KEY": f"wandb_v1_{CANARY}",
    "AZURE_CLIENT_SECRET": f"abc8Q~{CANARY}{CANARY}ab",
    "MLFLOW_TRACKING_PASSWORD": CANARY,
}


def list_command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            yield path.read_bytes()


def test_secrets_of_the_environment_are_kept_and_shown_nowhere(start, recorded, tmp_path, monkeypatch):
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    process = start(recorded / "small", SMALL["act"], training_steps=2, system_metrics=False, tracked=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        assert not [command for command in list_command_lines() if CANARY.encode() in command]
    assert process.wait() == 0, "".join(lines)
    assert CANARY not in "".join(lines)
    assert (tmp_path / "mlflow.db").is_file()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


@pytest.mark.long
def test_a_task_of_one_episode_keeps_it(train, recorded):
    ran = train(recorded / "two-tasks", SMALL["act"], training_steps=2, system_metrics=False, tracked=True)
    assert dict(ran.ask("select key, value from params"))["val_split"] == "0"
    assert any("no episodes are held out" in text and "push" in text for text in ran.notes)
    assert [*ran.read_metric()] == [2]
    assert ran.read_metric("val/loss") == {}
    assert not any(event.step is None for event in ran.events(Metrics))


@pytest.mark.usefixtures("cold")
def test_a_training_that_is_stopped_saves_a_checkpoint_first(start, pusht, tmp_path):
    parameters = {"training_steps": 100_000, "save_freq": 50_000, "log_freq": 1, "eval_freq": 0, "num_workers": 1}
    process = start(pusht, SMALL["act"], tracked=True, **parameters)
    lines = [*read_lines_until(process, "train/loss"), *read_lines_until(process, "train/loss")]
    os.killpg(process.pid, signal.SIGTERM)  # as a platform does: every process of the run receives it
    lines += process.communicate(timeout=60)[0].splitlines()
    ran = Trained(process.returncode, lines, tmp_path / "work", tmp_path / "mlflow.db")
    assert ran.exit_code == 143, "\n".join(ran.lines)
    (saved,) = ran.events(Checkpoint)
    assert (Path(saved.path) / "training_state" / "training_step.json").is_file()
    assert ran.events(Outcome)[0].state == "cancelled"
    assert ran.ask("select status from runs") == [("KILLED",)]


@pytest.mark.usefixtures("cold")
def test_a_trainer_whose_run_was_started_again_elsewhere_ends_before_it_saves(start, pusht, tmp_path, monkeypatch):
    monkeypatch.setenv(claim.CLAIM_VARIABLE, f"first:{tmp_path}/{claim.CLAIM_LINK}")
    (tmp_path / claim.CLAIM_LINK).symlink_to("7:first:4711")
    process = start(pusht, SMALL["act"], training_steps=400, save_freq=60, log_freq=1, eval_freq=0)
    assert list(read_lines_until(process, "train/loss"))
    process.send_signal(signal.SIGSTOP)  # the trainer has to notice by itself
    (tmp_path / "new").symlink_to("7:second:4712")
    (tmp_path / "new").rename(tmp_path / claim.CLAIM_LINK)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not (tmp_path / "work/outputs/checkpoints").exists()


@pytest.mark.usefixtures("cold")
@pytest.mark.long
def test_a_training_that_fails_beside_its_data_workers_ends_with_the_reason(start, pusht, tmp_path):
    process = start(pusht, SMALL["act"], num_workers=1, training_steps=400, save_freq=60, log_freq=1, eval_freq=0)
    lines = list(read_lines_until(process, "train/loss"))
    (tmp_path / "work/outputs").write_text("a file where the checkpoints should go")
    lines += process.communicate(timeout=240)[0].splitlines()
    ran = Trained(process.returncode, lines, tmp_path / "work", tmp_path / "mlflow.db")
    assert ran.exit_code == 1, "\n".join(lines)
    assert ran.events(Outcome)[0].state == "failed"
    assert "outputs" in ran.events(Outcome)[0].reason


@pytest.mark.usefixtures("cold")
def test_data_workers_end_with_a_trainer_that_is_killed(start, pusht):
    process = start(pusht, SMALL["act"], num_workers=1, training_steps=400, save_freq=400, log_freq=1, eval_freq=0)
    assert list(read_lines_until(process, "train/loss"))
    (trainer,) = find_processes(process.pid, "lerobot_train.launcher")
    (worker,) = find_processes(process.pid, "spawn_main")
    os.kill(worker, signal.SIGSTOP)  # it would wait in vain for the trainer to take a batch
    os.kill(trainer, signal.SIGKILL)
    process.communicate(timeout=60)
    assert find_processes(process.pid, "spawn_main") == []


def find_processes(group: int, word: str) -> list[int]:
    """The processes of a group whose command line has a word."""
    pids = []
    for folder in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):  # it has ended
            if os.getpgid(int(folder.name)) == group and word in (folder / "cmdline").read_text():
                pids.append(int(folder.name))
    return pids


def test_a_device_that_is_not_there_is_refused_before_anything_is_trained(train, pusht):
    ran = train(pusht, device="mps", exit_code=1)  # no GPU of NVIDIA's, which preflight would miss
    assert "--device mps" in ran.events(Outcome)[0].reason
    assert re.search("available: .*cpu", ran.events(Outcome)[0].reason)
    assert not ran.events(Checkpoint)


@pytest.mark.long
def test_a_warm_up_changes_the_schedule_and_nothing_of_the_optimizer(train, pusht, small):
    short = {"training_steps": 4, "save_freq": 4, "log_freq": 1, "learning_rate": 3e-4}
    warmed = train(pusht, SMALL["act"], lr_warmup_steps=4, **short)
    config = "pretrained_model/train_config.json"
    before = json.loads((small.checkpoint / config).read_text())
    after = json.loads((warmed.work / "outputs/checkpoints/000004" / config).read_text())
    assert after["optimizer"] == before["optimizer"]
    assert before["scheduler"] is None
    assert after["scheduler"] == {"type": "constant_with_warmup", "num_warmup_steps": 4}
    rates = [*warmed.read_metric("train/learning_rate").values()]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1]
