"""The credential of the webhook that a run on OSMO tells."""

import os
from pathlib import Path

from problem_assertions import check_problems

JOB = (
    *("submit", "--platform", "osmo", "--pool", "default", "-d", f"lerobot/pusht@{'a' * 40}"),
    *("--training-steps", "10", "--tracking-uri", "none", "--no-pin"),
)


def test_missing_credential_is_named(osmo, robotrain):
    configuration = Path(os.environ["XDG_CONFIG_HOME"], "robotrain/config.toml")
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text('[notify]\nosmo = "webhooks:slack"\n')
    answer = robotrain(*JOB, "--notify")
    assert answer.exit_code == 4
    check_problems(answer.stderr, "osmo-credential-missing --secret ROBOTRAIN_NOTIFY")
    assert "osmo credential set webhooks" in answer.stderr
