"""README.md, as a reader types it; .ci/installs types docs/install.md and docs/first-policy.md."""

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from page_session import DECLARED, Shell, read_pages, run_page

PAGES = read_pages()


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


@pytest.mark.slow
@pytest.mark.long
def test_the_readme_does_what_it_says(open_shell, tmp_path, monkeypatch):
    state = tmp_path / "machine/state"
    monkeypatch.setenv("ROBOTRAIN_STATE", str(state))
    page = PAGES["README.md"]
    shell = open_shell(page)
    run_page(page, shell, lambda line: stop_runs(state, shell))


def test_what_is_not_run_is_on_its_page():
    for skipped in DECLARED["not_run"]:
        assert skipped["line"] in PAGES[skipped["page"]].lines(), skipped["line"]
        assert skipped["why"]


def test_what_stands_for_a_text_is_used_and_says_why():
    for page in PAGES.values():
        text = "\n".join([*page.lines(), page.path.read_text() if page.files else ""])
        assert [before for before, _, reason in page.replace if not reason or not re.search(before, text)] == [], (
            page.name
        )
