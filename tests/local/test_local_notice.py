"""A real run of this machine tells a webhook itself how it ended, and no file has the address."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_server import Webhook, serve_webhook

pytestmark = pytest.mark.slow  # builds an environment
SECRET = "T0SECRET"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with serve_webhook() as served:
        yield served


@pytest.fixture
def robotrain(command: tuple[str, ...], webhook: Webhook, tmp_path: Path) -> Callable[..., str]:
    """Run a command of robotrain with the webhook configured; what it prints, which has no address."""
    folder = tmp_path / "config/robotrain"
    folder.mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine" / "webhook"
    file.touch(mode=0o600)
    file.write_text(f"{webhook.address}\n")
    (folder / "config.toml").write_text(f'[notify]\nfile = "{file}"\n')
    own = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "ROBOTRAIN_STATE": str(tmp_path / "state")}

    def run(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], capture_output=True, text=True, env={**os.environ, **own}, timeout=300
        )
        assert SECRET not in done.stdout + done.stderr
        assert done.returncode in (0, 5), done.stderr
        return done.stdout

    return run


def wait_for(webhook: Webhook, count: int) -> None:
    """Wait until the webhook has so many messages, and a moment for one too many."""
    until = time.monotonic() + 60
    while len(webhook.taken) < count and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1)
    assert len(webhook.taken) == count


@pytest.mark.long
def test_runs_tell_once_each_though_nobody_waits(
    robotrain: Callable[..., str], webhook: Webhook, tmp_path: Path
) -> None:
    submit = ("submit", "command", "--platform", "local", "--notify")
    name = json.loads(robotrain(*submit, "--name", "pick", "--json", "--", "true"))["run"]
    wait_for(webhook, 1)
    assert webhook.texts == [f"pick succeeded\nrun: {name} on local\nnext: robotrain outputs {name}"]
    assert "succeeded" in robotrain("wait", "pick")

    robotrain("resubmit", "pick")  # the same plan
    wait_for(webhook, 2)
    robotrain("resubmit", "pick", "--notify", "--wait")
    wait_for(webhook, 3)

    robotrain(*submit, "--name", "broken", "--", "python3", "-c", "raise ValueError('no such joint')")
    wait_for(webhook, 4)
    assert webhook.texts[-1].startswith("broken failed\nValueError: no such joint\n")

    robotrain(*submit, "--name", "slow", "--", "sleep", "60")
    until = time.monotonic() + 30
    while "work: started" not in robotrain("logs", "slow") and time.monotonic() < until:
        time.sleep(0.2)
    robotrain("cancel", "slow")
    wait_for(webhook, 5)
    assert webhook.texts[-1].startswith("slow cancelled\nthe run was stopped\n")

    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
