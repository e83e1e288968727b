"""The commit of a folder of code: read without a program that the folder names, compared with what is sent."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from robotrain.store import code_commit, code_folder
from robotrain.store.code_commit import CodeCommit

CLEAN = {
    **{"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull},
    **{f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, env=CLEAN, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit: train.py, and rl/agent.py in a folder."""
    made = tmp_path / "repository"
    (made / "rl").mkdir(parents=True)
    (made / "train.py").write_text("print(1)\n")
    (made / "rl" / "agent.py").write_text("lr = 1\nsteps = 10\n")
    git(made, "init", "--quiet", "--initial-branch=main")
    commit_all(made)
    return made


def commit_all(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "work")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def describe() -> Callable[[Path], CodeCommit]:
    """What is recorded of a folder that is sent."""

    def run(folder: Path) -> CodeCommit:
        sent = code_folder.stage_folder(folder)
        description = code_commit.describe_commit(folder, code_folder.scan_folder(sent), sent)
        assert description is not None
        return description

    return run


def test_a_folder_as_it_was_committed_is_clean(repository: Path, describe: Any) -> None:
    (repository / ".gitignore").write_text("*.log\n")
    commit = commit_all(repository)
    (repository / "run.log").write_text("x")
    assert describe(repository) == CodeCommit(commit, False)
    assert describe(repository / "rl") == CodeCommit(commit, False)


def test_the_difference_is_that_of_git_diff_with_new_and_removed_files(repository: Path, describe: Any) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "rl" / "agent.py").write_text("lr = 2\nsteps = 10\n")
    (repository / "new.py").write_text("x = 1\n")
    (repository / "train.py").unlink()
    description = describe(repository)
    assert (description.commit, description.is_dirty) == (commit, True)
    git(repository, "checkout", "--quiet", "--", ".")
    (repository / "new.py").unlink()
    subprocess.run(["git", "apply"], cwd=repository, input=description.difference, text=True, check=True)
    assert (repository / "rl" / "agent.py").read_text() == "lr = 2\nsteps = 10\n"
    assert (repository / "new.py").read_text() == "x = 1\n"
    assert not (repository / "train.py").exists()


def test_secrets_are_hidden_and_a_long_difference_is_cut(
    repository: Path, describe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "train.py").write_text('password = "hunter2hunter2"\nprint(2)\n')
    difference = describe(repository).difference
    assert "+<redacted>\n+print(2)\n" in difference
    assert "hunter2" not in difference
    monkeypatch.setattr(code_commit, "MAX_DIFFERENCE", 2000)
    (repository / "train.py").write_text("print(3)\n" * 1000)
    difference = describe(repository).difference
    assert len(difference) < 2200
    assert difference.endswith(code_commit.CUT_LINE)


def test_no_program_that_the_repository_names_is_started(repository: Path, describe: Any, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\ncat\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=own diff=own\n")
    commit = commit_all(repository)
    for name in ("filter.own.clean", "filter.own.smudge", "diff.own.command", "diff.own.textconv", "diff.external"):
        git(repository, "config", name, str(program))
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "uploadpack.packObjectsHook"):
        git(repository, "config", name, str(program))
    git(repository, "config", "alias.ls-tree", f"!{program}")
    (repository / ".git" / "hooks").mkdir(exist_ok=True)
    (repository / ".git" / "hooks" / "post-index-change").symlink_to(program)
    (repository / "train.py").write_text("print(2)\n")
    description = describe(repository)
    assert (description.commit, description.is_dirty) == (commit, True)
    assert not (tmp_path / "started").exists()


def test_packed_references_worktrees_and_detached_heads_are_read(repository: Path, tmp_path: Path) -> None:
    def read(folder: Path) -> str:
        working_tree = code_commit.find_working_tree(folder)
        return code_commit.read_commit(working_tree) if working_tree else ""

    first = git(repository, "rev-parse", "HEAD")
    git(repository, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "tree"))
    (tmp_path / "tree" / "train.py").write_text("print(2)\n")
    second = commit_all(tmp_path / "tree")
    git(repository, "pack-refs", "--all")
    assert (read(repository), read(tmp_path / "tree"), read(repository / "rl")) == (first, second, first)
    git(repository, "checkout", "--quiet", "--detach", second)
    assert read(repository) == second
    (repository / ".git" / "HEAD").write_text("ref: refs/../../secret\n")
    assert read(repository) == ""
    assert read(tmp_path) == ""


@pytest.mark.parametrize("change", ["no git", "no objects"])
def test_without_git_or_objects_the_commit_alone_is_known(
    repository: Path, describe: Any, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    if change == "no git":
        monkeypatch.setenv("PATH", "/nowhere")
    else:
        (repository / ".git" / "objects").rename(repository / ".git" / "away")
    assert describe(repository) == CodeCommit(commit)


def test_a_file_of_git_lfs_is_compared_by_its_pointer(repository: Path, describe: Any) -> None:
    text = b"\0weights"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(text).hexdigest()}\nsize 8\n"
    (repository / "model.bin").write_text(pointer)
    commit = commit_all(repository)
    (repository / "model.bin").write_bytes(text)
    assert describe(repository) == CodeCommit(commit, False)


def test_a_repository_with_sha256_is_read_too(tmp_path: Path, describe: Any) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    git(folder, "init", "--quiet", "--object-format=sha256")
    commit = commit_all(folder)
    assert describe(folder) == CodeCommit(commit, False)
