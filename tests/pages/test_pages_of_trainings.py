"""Pages whose lines train and evaluate on this machine: with one state folder, so that they share a trained run."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from page_session import Shell, read_pages, run_page

pytestmark = [pytest.mark.slow, pytest.mark.long]
PAGES = {name: page for name, page in read_pages().items() if "trains" in page.uses}


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("machine") / "state"


def stop_runs(state: Path, shell: Shell) -> None:
    """Kill the processes that outlive a line: runs, and drivers of pipelines and sweeps."""
    wanted, spared = (
        f"ROBOTRAIN_STATE={state}".encode(),
        {shell.process.pid, os.getsid(0)},
    )  # stand-ins are of this session
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            number = int(process.name)
            if wanted in (process / "environ").read_bytes().split(b"\0") and os.getsid(number) not in spared:
                os.kill(number, signal.SIGKILL)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_trains(name, open_shell, state, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_STATE", str(state))
    shell = open_shell(PAGES[name])
    run_page(PAGES[name], shell, lambda line: stop_runs(state, shell))
