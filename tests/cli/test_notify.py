"""`--notify`: the webhook of the user's configuration is told how a run ended, and no one else sees its address."""

import json
import os
from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Metrics

LOSS = Metrics(step=2, total=2, values={"val/loss": 0.25})


def test_webhook_is_told_how_the_run_ended_why_its_score_and_the_next_command(
    scripted, robotrain, set_webhook, webhook, taken
):
    set_webhook(webhook)
    scripted.run("train-1", LOSS, called="pick", state="failed", reason="CUDA out of memory")
    answer = robotrain("wait", "--notify", "train-1")
    assert answer.exit_code == 5
    ((path, kind, body),) = taken
    assert (path, kind) == ("/services/T0SECRET", "application/json")
    title, reason, score, run, after = json.loads(body)["text"].splitlines()
    assert (title, reason, score) == ("pick failed", "CUDA out of memory", "val/loss 0.25")
    assert run == "run: train-1 on scripted"
    assert after.startswith("next: robotrain ")
    assert "SECRET" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("command", ["wait", "watch"])
def test_webhook_is_told_of_each_run_once(scripted, robotrain, set_webhook, webhook, taken, command, run_later):
    set_webhook(webhook)
    first = scripted.run("train-1")
    scripted.run("train-2", state="succeeded")
    run_later(lambda: first.status(state="succeeded"))
    assert robotrain(command, "--notify", "train-1", "train-2").exit_code == 0
    assert len(taken) == 2


def test_what_waits_again_tells_the_webhook_too(scripted, robotrain, set_webhook, webhook, monkeypatch):
    set_webhook(webhook)
    scripted.run("train-1")
    timed_out = robotrain("wait", "train-1", "--notify", "--timeout", "0.1s")
    assert "robotrain wait train-1 --notify\n" in timed_out.stderr

    def press_ctrl_c(*args: object, **kwargs: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("robotrain.cli.watch.follower.RunFollower.wait_until_over", press_ctrl_c)
    for command in ("wait", "watch"):
        stopped = robotrain(command, "train-1", "--notify")
        assert f"  robotrain {command} train-1 --notify   watch again\n" in stopped.stderr
        assert stopped.exit_code == 130


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("{}/withdrawn", "status 404"),
        ("http://127.0.0.1:1/T0SECRET", "refused"),
    ],
)
def test_webhook_that_fails_changes_nothing(scripted, robotrain, set_webhook, webhook, address, reason):
    set_webhook(address.format(webhook))
    scripted.run("train-1", state="succeeded")
    answer = robotrain("wait", "--notify", "train-1")
    answer.check_problems(0, "notify-failed")
    assert reason in answer.stderr
    assert "SECRET" not in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("address", "mode", "code"),
    [
        ("https://hooks.example/T0SECRET", 0o644, "notify-address-exposed"),
        ("", 0o600, "notify-address-invalid"),
        ("tgram://T0SECRET/1", 0o600, "notify-address-invalid"),
    ],
)
def test_webhook_that_cannot_be_used_is_refused_before_anything_is_followed(
    scripted, robotrain, set_webhook, address, mode, code
):
    set_webhook(address, mode)
    scripted.run("train-1")
    answer = robotrain("wait", "--notify", "train-1")
    answer.check_problems(2, code)
    assert "SECRET" not in answer.stderr


@pytest.mark.parametrize(
    ("configuration", "codes"),
    [
        ("", ["notify-not-configured"]),
        ('[notify]\nfile = "https://hooks.example/T0SECRET"', ["notify-address-invalid"]),
        ('notify = "https://hooks.example/T0SECRET"', ["file-malformed", "notify-not-configured"]),
    ],
)
def test_configuration_without_a_file_of_an_address_is_refused(scripted, robotrain, configuration, codes):
    file = Path(os.environ["XDG_CONFIG_HOME"], "robotrain/config.toml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(configuration)
    scripted.run("train-1")
    answer = robotrain("watch", "--notify", "train-1")
    answer.check_problems(2, *codes)
    assert "SECRET" not in answer.stderr
