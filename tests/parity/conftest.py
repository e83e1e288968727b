"""One state folder for all, so that equal command lines give equal plans, and a guard: no cell may ask the world."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from parity_cells import names_read
from parity_command import platform_words, program_words
from parity_document import Arrived, read_arrived
from robotrain.store import code_folder
from robotrain_sources.git import clone

OUTSIDE = (
    *((socket.socket, name) for name in ("connect", "connect_ex", "sendto")),
    *((socket, name) for name in ("getaddrinfo", "gethostbyname", "create_connection")),
    (subprocess.Popen, "__init__"),
    *((os, name) for name in ("fork", "posix_spawn", "posix_spawnp", "execv", "execve", "system")),
)
"""By which a process reaches a network, or another program."""


@pytest.fixture(autouse=True)
def no_side_effects(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever reaches for the world fails, and fails the test also where the failure is swallowed."""
    touched: list[str] = []

    def guard(name: str) -> Callable[..., None]:
        def refuse(*args: object, **kwargs: object) -> None:
            touched.append(name)
            raise OSError(f"{name}: a plan asks nobody")

        return refuse

    for owner, name in OUTSIDE:
        monkeypatch.setattr(owner, name, guard(name))
    yield
    assert touched == []


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parity")


LEAD = {
    **{"ROBOTRAIN_NODE_RANK": "0", "ROBOTRAIN_NODE_ADDRESS": "lead"},
    **{"NODE_RANK": "0", "MASTER_ADDR": "lead", "MASTER_PORT": "6105"},
}
"""What the first of several nodes is given where a platform starts the job on each: in OSMO's groups, on Azure ML."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, own_folders: None, state: Path) -> None:
    """No name of the environment says anything, and robotrain's folders are the same for every test."""
    for name in names_read():
        monkeypatch.delenv(name, raising=False)
    # A python that is a script, such as pyenv's, would be asked for the program behind it.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    for name, value in LEAD.items():
        monkeypatch.setenv(name, value)
    for name, folder in {"ROBOTRAIN_STATE": "state", "ROBOTRAIN_CACHE": "cache", "HOME": "home"}.items():
        monkeypatch.setenv(name, str(state / folder))


@pytest.fixture
def fetched_commit(monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> Path:
    """The folder of the files of every repository of git, which its host would be asked for."""
    folder = code_folder.get_commits_folder() / "policy"
    for name in ("train.py", "scripts/train.sh"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    monkeypatch.setattr(clone, "fetch_commit", lambda source: folder)
    return folder


@pytest.fixture(scope="session")
def rendered_before() -> dict[tuple[str, ...], Arrived]:
    """What arrived of command lines that several tests compare with, by their words."""
    return {}


@pytest.fixture
def root() -> tuple[str, ...]:
    """Switches before a command: without plugins that happen to be installed here as well."""
    return ("--no-plugins",)


@pytest.fixture
def render_job(robotrain: Any, root: tuple[str, ...]) -> Callable[..., Arrived]:
    """What arrives of a command line: `render_job("osmo", "-d", "a/b", given={"--cpu": "4"}, after=("--x=1",))`."""

    def run(
        platform: str, *words: str, given: Mapping[str, str | None] | None = None, after: tuple[str, ...] = ()
    ) -> Arrived:
        command = after or program_words(words, given)
        tail = ("--", *command) if command else ()
        answer = robotrain(*root, "render", *words, *platform_words(platform, given, words), "--json", *tail)
        assert answer.exit_code == 0, answer.stderr
        return read_arrived(answer.json)

    return run


@pytest.fixture
def find_errors(robotrain: Any, root: tuple[str, ...], state: Path) -> Callable[..., list[dict[str, Any]]]:
    """The errors of a command line that is not sent; nothing is asked, nothing recorded."""

    def run(platform: str, *words: str, code: int = 3) -> list[dict[str, Any]]:
        answer = robotrain(*root, "submit", *words, *platform_words(platform), "--json")
        assert answer.exit_code == code, answer.stdout or answer.stderr
        assert not (state / "state").exists()
        errors = [problem for problem in answer.json["problems"] if problem["severity"] == "error"]
        assert all(error["title"] in answer.stderr for error in errors)  # people are told the same
        return errors

    return run


@pytest.fixture(scope="session")
def accepted_lines() -> set[tuple[str, ...]]:
    """Command lines that were seen to be accepted: several cells offer the same."""
    return set()


@pytest.fixture
def assert_accepted(
    robotrain: Any, root: tuple[str, ...], accepted_lines: set[tuple[str, ...]]
) -> Callable[[Sequence[str]], None]:
    """That a whole command line is taken."""

    def run(words: Sequence[str]) -> None:
        line = (*root, "explain", *words, "--json")
        if line not in accepted_lines:
            answer = robotrain(*line)
            assert answer.exit_code == 0, answer.stderr
            accepted_lines.add(line)

    return run
