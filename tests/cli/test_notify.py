"""`--notify`: channels of the user's configuration are told how a run ended, and no one else sees their addresses."""

import json
import os
import sys
import types
from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Metrics

LOSS = Metrics(step=2, total=2, values={"val/loss": 0.25})


def test_channel_is_told_how_the_run_ended_why_its_score_and_the_next_command(
    scripted, robotrain, add_channel, webhook, taken
):
    add_channel("team", webhook)
    scripted.run("train-1", LOSS, called="pick", state="failed", reason="CUDA out of memory")
    answer = robotrain("wait", "--notify", "team", "train-1")
    assert answer.exit_code == 5
    ((path, kind, body),) = taken
    assert (path, kind) == ("/services/T0SECRET", "application/json")
    title, reason, score, run, after = json.loads(body)["text"].splitlines()
    assert (title, reason, score) == ("pick failed", "CUDA out of memory", "val/loss 0.25")
    assert run == "run: train-1 on scripted"
    assert after.startswith("next: robotrain ")
    assert "SECRET" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("command", ["wait", "watch"])
def test_each_channel_is_told_of_each_run_once(scripted, robotrain, add_channel, webhook, taken, command, run_later):
    add_channel("one", webhook)
    add_channel("two", f"{webhook}/two")
    first = scripted.run("train-1")
    scripted.run("train-2", state="succeeded")
    run_later(lambda: first.status(state="succeeded"))
    assert robotrain(command, "--notify", "one,two,one", "train-1", "train-2").exit_code == 0
    assert sorted(path.rpartition("/")[2] for path, *_ in taken) == ["T0SECRET", "T0SECRET", "two", "two"]


def test_what_waits_again_tells_the_same_channels(scripted, robotrain, add_channel, webhook, monkeypatch):
    add_channel("team", webhook)
    add_channel("phone", webhook)
    scripted.run("train-1")
    timed_out = robotrain("wait", "train-1", "--notify", "team,phone", "--timeout", "0.1s")
    assert "robotrain wait train-1 --notify team,phone\n" in timed_out.stderr

    def press_ctrl_c(*args: object, **kwargs: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("robotrain.cli.watch.follower.RunFollower.wait_until_over", press_ctrl_c)
    for command in ("wait", "watch"):
        stopped = robotrain(command, "train-1", "--notify", "team")
        assert f"  robotrain {command} train-1 --notify team   watch again\n" in stopped.stderr
        assert stopped.exit_code == 130


def test_channel_that_fails_is_named_and_changes_nothing(scripted, robotrain, add_channel, webhook):
    add_channel("gone", f"{webhook}/withdrawn")
    add_channel("far", "http://198.51.100.1/T0SECRET")
    add_channel("shut", "http://127.0.0.1:1/T0SECRET")
    scripted.run("train-1", state="succeeded")
    answer = robotrain("wait", "--notify", "gone,far,shut", "train-1")
    answer.check_problems(0, "notify-failed")
    assert "status 404" in answer.stderr
    assert "does not begin with https" in answer.stderr
    assert "SECRET" not in answer.stdout + answer.stderr


def test_other_addresses_go_through_apprise(scripted, robotrain, add_channel, monkeypatch):
    told = []

    class Apprise:
        def add(self, address: str) -> bool:
            told.append(address)
            return address.startswith("tgram://")

        def notify(self, title: str, body: str) -> bool:
            told.append(title)
            return True

    monkeypatch.setitem(sys.modules, "apprise", module := types.ModuleType("apprise"))
    module.Apprise, module.__spec__ = Apprise, object()
    add_channel("phone", "tgram://T0SECRET/1")
    add_channel("odd", "nosuch://T0SECRET")
    scripted.run("train-1", state="succeeded")
    answer = robotrain("wait", "--notify", "phone,odd", "train-1")
    assert told == ["tgram://T0SECRET/1", "train-1 succeeded", "nosuch://T0SECRET"]
    answer.check_problems(0, "notify-failed")
    assert "SECRET" not in answer.stdout + answer.stderr


def test_channels_that_cannot_be_used_are_refused_before_anything_is_followed(
    scripted, robotrain, add_channel, monkeypatch
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    add_channel("open", "https://hooks.example/T0SECRET", mode=0o644)
    add_channel("empty", "")
    add_channel("phone", "tgram://T0SECRET/1")
    scripted.run("train-1")
    answer = robotrain("wait", "--notify", "open,empty,phone,opne", "train-1")
    answer.check_problems(
        2, "notify-address-exposed", "notify-address-invalid", "notify-apprise-missing", "notify-unknown"
    )
    assert "SECRET" not in answer.stderr


def test_address_in_the_configuration_itself_is_refused_and_not_shown(scripted, robotrain, add_channel):
    Path(os.environ["XDG_CONFIG_HOME"], "robotrain/config.toml").write_text(
        '[notify]\nteam = "https://hooks.example/T0SECRET"\n'
    )
    scripted.run("train-1")
    answer = robotrain("watch", "--notify", "team", "train-1")
    answer.check_problems(2, "notify-address-invalid")
    assert "SECRET" not in answer.stderr
