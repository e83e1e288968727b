"""The folder that a program starts in: a copy of its code that it may write to."""

from pathlib import Path

from robotrain_workloads.command.supervisor import provide_folder


def test_a_program_may_write_to_its_copy_of_a_folder_that_is_mounted_read_only(tmp_path: Path) -> None:
    code, folder = tmp_path / "code", tmp_path / "work" / "program"
    (code / "src").mkdir(parents=True)
    (code / "src" / "train.py").write_text("print(1)\n")
    (code / "run.sh").write_text("#!/bin/sh\n")
    (code / "run.sh").chmod(0o444)
    (code / "link.py").symlink_to("src/train.py")
    for path in (code / "src" / "train.py", code / "src", code):
        path.chmod(0o555 if path.is_dir() else 0o444)
    provide_folder(folder, str(code))
    assert (folder / "link.py").readlink() == Path("src/train.py")
    assert {name: (folder / name).stat().st_mode & 0o700 for name in ("src", "src/train.py", "run.sh", ".")} == {
        **dict.fromkeys(("src", "run.sh", "."), 0o700),
        "src/train.py": 0o600,
    }
    (folder / "run.sh").write_text("changed\n")
    assert (code / "run.sh").read_text() == "#!/bin/sh\n"


def test_what_an_earlier_attempt_left_stays(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    provide_folder(tmp_path / "program", str(tmp_path / "code"))
    (tmp_path / "program" / "state").write_text("1")
    provide_folder(tmp_path / "program", str(tmp_path / "code"))
    assert (tmp_path / "program" / "state").exists()
    provide_folder(tmp_path / "empty", "")
    assert list((tmp_path / "empty").iterdir()) == []
