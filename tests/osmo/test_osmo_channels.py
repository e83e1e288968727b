"""The credential of a channel that a run on OSMO tells: what is said of it names `--notify`, which the user typed."""

import os
from pathlib import Path

import pytest
from problem_assertions import check_problems

JOB = (
    *("submit", "--platform", "osmo", "--pool", "default", "-d", f"lerobot/pusht@{'a' * 40}"),
    *("--training-steps", "10", "--tracking-uri", "none", "--no-pin"),
)


@pytest.fixture(autouse=True)
def channel():
    configuration = Path(os.environ["XDG_CONFIG_HOME"], "robotrain/config.toml")
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text('[notify]\non-call = {file = "~/on-call", osmo = "webhooks"}\n')


def test_missing_credential_is_that_of_the_channel(osmo, robotrain):
    answer = robotrain(*JOB, "--notify", "on-call")
    assert answer.exit_code == 4
    check_problems(answer.stderr, "osmo-credential-missing --notify on-call")
    assert "It must hold the address of on-call under the key on_call." in answer.stderr
    assert "osmo credential set webhooks" in answer.stderr
    assert "ROBOTRAIN_NOTIFY" not in answer.stderr
    assert "--secret" not in answer.stderr
