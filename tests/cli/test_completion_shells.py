"""The TAB key in real shells: commands, workloads, platforms, options and the names of runs."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from robotrain.model.run import RunRecord
from robotrain.store import records

pytestmark = pytest.mark.slow  # types into real shells

ROBOTRAIN = Path(sys.executable).with_name("robotrain")
SECONDS = 20
CLEAR = "\x15"  # Ctrl-U
CASES = [
    ("robotrain regis", "register"),
    ("robotrain submit lerobot-t", "lerobot-train"),
    ("robotrain submit --platform loc", "local"),
    ("robotrain submit --platform local --training-s", "--training-steps"),
    ("robotrain submit --platform local --policy-type diff", "diffusion"),
    ("robotrain status lerobot-train-ab", "lerobot-train-abcdef12-1"),
]


@pytest.fixture(autouse=True)
def recorded_run():
    record = RunRecord(
        run="lerobot-train-abcdef12-1",
        platform="local",
        phase="sent",
        job="j",
        plan="p",
        created=1.0,
        workload="lerobot-train",
        settings={},
        reference={},
    )
    records.write_record(record)


def skip_without(shell):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} on this machine; .ci/run installs it where it can")


def shell_environment():
    return os.environ | {"PATH": f"{ROBOTRAIN.parent}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "$ "}


def completion_script(shell):
    made = subprocess.run(
        [ROBOTRAIN],
        env=shell_environment() | {"_ROBOTRAIN_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
    )
    assert "robotrain" in made.stdout
    return made.stdout


class Terminal:
    """A shell at a terminal, typed at like a person does."""

    def __init__(self, *command: str) -> None:
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, shell_environment())

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def until(self, text: str) -> str:
        """What it shows, once `text` is part of it."""
        shown, until = "", time.monotonic() + SECONDS
        while text not in shown and time.monotonic() < until:
            if select.select([self.end], [], [], 0.2)[0]:
                shown += os.read(self.end, 65536).decode(errors="replace")
        return shown

    def close(self) -> None:
        os.close(self.end)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


SHELLS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), "bind 'set bell-style none'; source {script}"),
    "zsh": (("zsh", "-f", "-i"), "autoload -Uz compinit && compinit -u -D; source {script}"),
}


@pytest.fixture(params=SHELLS)
def terminal(request, tmp_path):
    skip_without(request.param)
    command, setup = SHELLS[request.param]
    path = tmp_path / "completion"
    path.write_text(completion_script(request.param))
    terminal = Terminal(*command)
    terminal.type(setup.format(script=path) + "; echo rea''dy\n")
    assert "ready" in terminal.until("ready")
    yield terminal
    terminal.close()


def test_words_begun_are_completed(terminal):
    for typed, completed in CASES:
        terminal.type(typed + "\t")
        rest = completed.removeprefix(typed.split()[-1])
        assert rest in terminal.until(typed + rest).replace("\r", ""), typed
        terminal.type(CLEAR)


def test_fish_offers_them(tmp_path):
    skip_without("fish")
    path = tmp_path / "completion.fish"
    path.write_text(completion_script("fish"))
    commands = "; ".join(f"complete -C '{typed}'" for typed, _ in CASES)
    offered = subprocess.run(
        ["fish", "-c", f"source {path}; {commands}"],
        env=shell_environment() | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    words = {line.partition("\t")[0] for line in offered.stdout.splitlines()}
    assert {completed for _, completed in CASES} <= words, offered.stderr
