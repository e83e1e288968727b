"""The files of a code folder that are sent: what ignore files name, and how much of a large folder is looked at."""

import inspect
import os
import sys
import time
from pathlib import Path

import pytest
from robotrain.store import code_folder, written_files


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")


def test_an_own_ignore_file_decides_last_and_a_nearer_one_more(tmp_path: Path) -> None:
    write(tmp_path, "train.py", "a.pt", "b.pt", "notes.md", "sub/notes.md", "sub/c.pt", "data/x.bin")
    (tmp_path / ".gitignore").write_text("*.pt\n")
    (tmp_path / ".robotrainignore").write_text("!b.pt\nnotes.md\n/data/\n")
    (tmp_path / "sub/.robotrainignore").write_text("!notes.md\n")
    assert list(code_folder.scan_folder(tmp_path).files) == ["b.pt", "sub/notes.md", "train.py"]


def test_rules_above_a_folder_hold_up_to_the_root_of_its_repository(tmp_path: Path) -> None:
    write(tmp_path, "repo/.git/HEAD", "repo/rl/train.py", "repo/rl/logs/1.txt", "repo/rl/a.pt", "repo/rl/train.log")
    (tmp_path / ".gitignore").write_text("*.py\n")
    (tmp_path / "repo/.gitignore").write_text("*.pt\n/rl/logs/\n/train.log\n")
    assert list(code_folder.scan_folder(tmp_path / "repo/rl").files) == ["train.log", "train.py"]


def test_a_folder_that_its_repository_ignores_was_asked_for_by_name(tmp_path: Path) -> None:
    write(tmp_path, ".git/HEAD", "outputs/exp/train.py", "outputs/exp/a.pt")
    (tmp_path / ".gitignore").write_text("outputs/\n*.pt\n")
    assert list(code_folder.scan_folder(tmp_path / "outputs/exp").files) == ["a.pt", "train.py"]


def test_lines_that_are_no_patterns_are_passed_over_as_by_git(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    write(tmp_path, "train.py", "a.pt", "b.pt")
    (tmp_path / ".gitignore").write_text("!\n*.pt\n[z-a]\n[[:x:]]\n\\\n!b.pt\n")
    assert list(code_folder.scan_folder(tmp_path).files) == ["b.pt", "train.py"]
    assert not recwarn


def test_folders_that_are_nested_too_deeply_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "/".join("d" * 300)).mkdir(parents=True)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        with pytest.raises(OSError, match="nested too deeply"):
            code_folder.scan_folder(tmp_path)
    finally:
        sys.setrecursionlimit(limit)


def test_excludes_of_the_user_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, "code/train.py", "code/.git/HEAD")
    (tmp_path / "git").mkdir()
    (tmp_path / "git/ignore").write_text("*.py\n")
    (tmp_path / ".gitconfig").write_text(f"[core]\nexcludesFile = {tmp_path}/git/ignore\n")
    assert list(code_folder.scan_folder(tmp_path / "code").files) == ["train.py"]


def test_of_a_folder_with_too_many_files_only_the_first_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_folder, "MAX_FILES", 20)
    write(tmp_path, *(f"data/set/{index}.txt" for index in range(50)), "train.py")
    content = code_folder.scan_folder(tmp_path)
    assert (content.is_too_large, len(content.files)) == (True, 21)
    with pytest.raises(code_folder.CodeTooLarge):
        code_folder.stage_folder(tmp_path)
    (tmp_path / ".robotrainignore").write_text("data/\n")
    assert not code_folder.scan_folder(tmp_path).is_too_large


def test_names_that_are_ignored_one_by_one_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_folder, "MAX_NAMES", 20)
    write(tmp_path, *(f"{index}.txt" for index in range(50)))
    (tmp_path / ".gitignore").write_text("*.txt\n")
    content = code_folder.scan_folder(tmp_path)
    assert (content.is_too_large, content.files) == (True, {})


def test_ten_gigabytes_are_refused_within_a_second(tmp_path: Path) -> None:
    write(tmp_path, "src/train.py", "src/data/readme.txt")
    for index in range(10):
        with open(tmp_path / f"src/data/{index}.bin", "wb") as file:
            os.truncate(file.fileno(), 1_000_000_000)
    start = time.process_time()
    content = code_folder.scan_folder(tmp_path)
    assert time.process_time() - start < 1.0
    assert content.is_too_large


@pytest.mark.parametrize(("size", "is_kept"), [("9", True), (str(10**9), False), ("", False)])
def test_small_copies_that_runs_had_outlast_many_edits(tmp_path, size, is_kept):
    folder, staged = tmp_path / "code", []
    for number in range(9):
        write(folder, f"train_{number}.py")
        staged.append(code_folder.stage_folder(folder))
        os.utime(staged[-1], (number, number))
        if size:
            code_folder.load_or_compute_pin(staged[-1], lambda: f"folder:a:b:1:{size}")
    assert [copy.exists() for copy in staged] == [is_kept] * 5 + [True] * 4


def test_the_copy_that_was_pinned_is_sent_although_the_folder_changed(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    write(folder, "train.py")
    staged = code_folder.stage_folder(folder)
    pin = code_folder.load_or_compute_pin(staged, lambda: "folder:1")
    (folder / "train.py").write_text("changed")
    assert code_folder.stage_folder(folder, pin) == staged
    assert (staged / "train.py").read_text() == "x"
    assert (code_folder.stage_folder(folder) / "train.py").read_text() == "changed"
    assert (code_folder.stage_folder(folder, "folder:2") / "train.py").read_text() == "changed"


def test_what_robotrain_wrote_is_sent_only_if_an_own_ignore_file_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    write(folder, "train.py", "robotrain.toml", "job.schema.json", "page.html", "plan/robotrain-plan.json", "plan/a.py")
    (folder / "job.yaml").write_text("# The job\nworkload: command\n")
    (folder / "nodes").mkdir()
    (folder / "nodes/job.yaml").write_text("kind: Job\n")
    (folder / "p1.html").write_text(f"<html><head>{written_files.GENERATOR}</head></html>")
    assert list(code_folder.scan_folder(folder).files) == ["nodes/job.yaml", "page.html", "train.py"]
    (folder / ".robotrainignore").write_text("!job.yaml\n")
    staged = code_folder.stage_folder(folder)
    sent = code_folder.scan_folder(staged, is_staged=True).files
    assert list(sent) == ["job.yaml", "nodes/job.yaml", "page.html", "train.py"]


def test_outputs_that_were_downloaded_stay_here_unless_an_own_ignore_file_says_otherwise(tmp_path: Path) -> None:
    write(tmp_path, "train.py", "log.txt", "lib/log.txt", "kept/checkpoints/1/a.pt", "kept/checkpoints/own.py")
    written_files.note_downloads(tmp_path, ["log.txt", "job.json"])
    written_files.note_downloads(tmp_path / "kept", ["checkpoints/1"])
    assert list(code_folder.scan_folder(tmp_path).files) == ["kept/checkpoints/own.py", "lib/log.txt", "train.py"]
    (tmp_path / ".robotrainignore").write_text("!/log.txt\n")
    assert "log.txt" in code_folder.scan_folder(tmp_path).files
