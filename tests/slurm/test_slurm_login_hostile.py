"""A login node that answers anything: it hangs no command, writes outside of no folder and commands no terminal."""

import contextlib
import io
import os
import stat
import sys
import tarfile

import pytest
from login_node import close_connections
from robotrain.errors import Rejected
from robotrain.model.run import Output
from robotrain.run_folder import remote_folder
from robotrain_runtime.contract.deadline import call_with_deadline
from robotrain_slurm.login import reach
from robotrain_slurm.platform import SLURM

REFERENCE = {"run": "a-1", "folder": "/runs/a-1", "job": "1", "login": "cluster"}
ENGINE = SLURM.engine
SSH = """\
#!/bin/sh
for word; do case $word in -G | -O) exit ;; esac; done
exec {python} -IS "$0.py" "$@"
"""
REMOTE = """
import re, sys, time
size = int(re.search(r"head -c (\\d+)", sys.argv[-1])[1])
script = sys.stdin.buffer.read(size).decode()
mark = re.search(r"robotrain-[0-9a-f]{16}", script)[0]
def say(text): sys.stdout.write(text); sys.stdout.flush()
say(f"\\n{mark}\\n")
"""
PATIENCE_SECONDS = 2.0
SILENT = "time.sleep(600)"
DRIPPING = "\nwhile True: say(' '); time.sleep(0.1)"
ENDLESS = "\nwhile True: say('x' * (1 << 20))"
WRONG = (
    "say('7 nan \\n' * 99)",
    "say('7 1e400 \\n' * 99)",
    "say('7\\n' + '9' * 30 + ' 1 \\n' * 99)",
    "say('7')",
    "say('x y z\\n' * 99)",
    "say('1 x 2 ====\\n' * 99)",
    "say('7 7 7 \\n' * 99)",
    "sys.exit(3)",
)
METHODS = {
    "status": lambda: ENGINE.status(REFERENCE),
    "pipeline": lambda: ENGINE.query_pipeline({**REFERENCE, "jobs": "a=1"}),
    "outputs": lambda: ENGINE.outputs(REFERENCE),
    "events": lambda: ENGINE.events_file(REFERENCE),
    "logs": lambda: [*ENGINE.logs(REFERENCE, False)],
    "statuses": lambda: ENGINE.list_statuses([REFERENCE]),
    "remove": lambda: ENGINE.remove_outputs(REFERENCE),
    "cancel": lambda: ENGINE.cancel(REFERENCE),
}


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A login node that does something once it is called."""

    def answer(program: str) -> None:
        (tmp_path / "ssh.py").write_text(f"{REMOTE}{program}")
        (tmp_path / "ssh").write_text(SSH.format(python=sys.executable))
        (tmp_path / "ssh").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(reach, "ANSWER_SECONDS", 2.0)
    monkeypatch.setattr("robotrain.run_folder.answer.SILENCE_SECONDS", 0.3)
    monkeypatch.setattr("robotrain.run_folder.transport.MAX_ANSWER_BYTES", 1 << 22)
    monkeypatch.setattr("robotrain.run_folder.cancel.SAVE_SECONDS", 0.0)
    yield answer
    close_connections()


@pytest.mark.parametrize("program", [SILENT, DRIPPING, ENDLESS])
def test_no_answer_in_time_is_the_login_nodes_fault(node, program):
    node(program)
    for _ in range(2):  # at once: it was asked a moment ago
        with pytest.raises(Rejected) as caught:
            call_with_deadline(METHODS["status"], PATIENCE_SECONDS)
        assert [problem.code for problem in caught.value.problems] == ["slurm-login-away"]
        assert caught.value.transient


def test_a_question_that_takes_long_says_that_it_waits(node, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    node(SILENT)
    with pytest.raises(Rejected):
        call_with_deadline(METHODS["outputs"], PATIENCE_SECONDS)
    assert "waiting for cluster" in capsys.readouterr().err


@pytest.mark.parametrize("answer", WRONG)
@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_no_program_gives_is_the_login_nodes_fault(node, answer, method):
    node(answer)
    with contextlib.suppress(Rejected):  # nothing else is raised
        METHODS[method]()


@pytest.mark.parametrize("end", ["", "say(f'{mark} 002\\n');"])
@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_not_gone_where_the_shell_can_start_no_process(node, method, end):
    node(f"{end}sys.exit('sh: 1: Cannot fork')")
    with pytest.raises(Rejected) as caught:
        METHODS[method]()
    (problem,) = caught.value.problems
    assert problem.code == "slurm-login-away"
    assert "Cannot fork" in problem.why
    assert caught.value.transient


LIST = """
if "find" in script: say("{kind} {size} {path}\\0")
elif "has_path" in script: say("yes\\n")
else: say("\\n" * script.count("\\nread_file "))
say(f"{{mark}} 000\\n")
"""


@pytest.mark.parametrize(
    ("kind", "size", "path"),
    [
        ("f", "4611686018427387904", "log.txt"),
        ("f", "-1", "log.txt"),
        ("f", "1e400", "log.txt"),
        ("f", "1", "../log.txt"),
        ("f", "1", "/tmp/log.txt"),
        ("f", "1", "x" * 300),
    ],
)
def test_a_list_of_files_that_no_folder_has_is_the_login_nodes_fault(node, kind, size, path):
    node(LIST.format(kind=kind, size=size, path=path))
    with pytest.raises(Rejected) as caught:
        ENGINE.outputs(REFERENCE)
    (problem,) = caught.value.problems
    assert (problem.code, "cluster" in problem.title) == ("slurm-login-away", True)


def test_a_list_that_a_folder_may_have_is_shown(node):
    node(LIST.format(kind="f", size="7", path="log.txt"))
    assert [(output.name, output.size) for output in ENGINE.outputs(REFERENCE)] == [("log.txt", 7)]


def pack(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for entry, content in members:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed


def make_entry(name: str, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.linkname = mode, kind, link
    return entry


def unpack(top, stream, max_bytes=1 << 20):
    """Unpack an archive as an output that was said to have so many bytes."""
    return remote_folder._unpack(top, {}, max_bytes, stream)


def make_sparse(size: int) -> bytes:
    """Return an archive of a file of one byte at the end of a hole, as GNU's tar packs it."""
    header = bytearray(make_entry("./x", kind=tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[124:136], header[386:398] = b"00000000001\0", b"%011o\0" % (size - 1)
    header[398:410], header[483:495] = b"00000000001\0", b"%011o\0" % size
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"x".ljust(512, b"\0") + bytes(1024)


def make_header(kind: bytes, size: int) -> bytes:
    """Return the beginning of an archive: a header that so many bytes belong to."""
    entry = make_entry("./x", kind=kind)
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "content",
    [
        make_sparse(3 << 30),
        make_header(tarfile.XHDTYPE, 20 << 30) + bytes(1 << 16),
        make_header(tarfile.XGLTYPE, 20 << 30) + bytes(1 << 16),
        make_header(tarfile.GNUTYPE_LONGNAME, 20 << 30) + bytes(1 << 16),
        make_header(tarfile.REGTYPE, 20 << 30) + bytes(1 << 16),
        make_header(tarfile.CHRTYPE, 0) + bytes(1024),
    ],
)
def test_archive_that_is_more_than_was_asked_for_is_not_unpacked(tmp_path, content):
    with pytest.raises((OSError, tarfile.TarError)):
        unpack(tmp_path / "x", io.BytesIO(content))
    assert not (tmp_path / "x").exists()


def test_archive_of_several_files_is_limited_as_a_whole(tmp_path):
    folder, files = (make_entry("./x", kind=tarfile.DIRTYPE), b""), [make_entry(f"./x/{number}") for number in range(9)]
    with pytest.raises(OSError, match="larger"):
        unpack(tmp_path / "x", pack(folder, *((file, bytes(10)) for file in files)), 79)
    unpack(tmp_path / "y", pack(folder, *((file, bytes(10)) for file in files)), 90)


def test_archive_of_too_many_files_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_folder, "MAX_ENTRIES", 3)
    folder, files = (make_entry("./x", kind=tarfile.DIRTYPE), b""), [make_entry(f"./x/{number}") for number in range(9)]
    with pytest.raises(OSError, match="more than 3"):
        unpack(tmp_path / "x", pack(folder, *((file, b"") for file in files)))


@pytest.mark.parametrize("path", ["./top/../outside", "./top/a/../../../outside"])
def test_file_of_an_output_does_not_leave_its_folder(tmp_path, path):
    folder = (make_entry("./top", kind=tarfile.DIRTYPE), b"")
    with pytest.raises(OSError, match="leads out"):
        unpack(tmp_path / "top", pack(folder, (make_entry(path), b"x")))
    assert not [*tmp_path.rglob("outside")]


def test_link_of_an_output_is_not_made(tmp_path):
    folder = (make_entry("./top", kind=tarfile.DIRTYPE), b"")
    link = (make_entry("./top/link", kind=tarfile.SYMTYPE, link=str(tmp_path)), b"")
    with pytest.raises(OSError, match="No such file"):
        unpack(tmp_path / "top", pack(folder, link, (make_entry("./top/link/x"), b"x")))
    assert [*(tmp_path / "top").iterdir()] == []


@pytest.mark.parametrize(("sent_mode", "mode"), [(0o4777, 0o755), (0o644, 0o644), (0, 0o644), (0o6022, 0o644)])
def test_mode_of_a_copied_file_is_decided_here(tmp_path, sent_mode, mode):
    before = os.umask(0o022)
    try:
        unpack(tmp_path / "x", pack((make_entry("./x", sent_mode), b"x")))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_copied_file_is_not_written_through_a_link(tmp_path):
    (tmp_path / "top").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        unpack(tmp_path / "top", pack((make_entry("./top"), b"x")))


COPY = """
if "tar " not in script:
    say("/runs/a-1/x\\0/runs/a-1\\0" if "realpath" in script else "yes\\n")
    say(f"{mark} 000\\n")
    sys.exit()
"""


def test_download_without_a_byte_is_given_up(node, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(reach, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(remote_folder, "STALL_SECONDS", 0.8)
    node(f"{COPY}{SILENT}")
    with pytest.raises(Rejected) as caught:
        ENGINE.download(REFERENCE, make_output(), tmp_path / "to")
    assert "Nothing came for 0.8 s" in caught.value.problems[0].why
    assert "waiting for cluster" in capsys.readouterr().err
    assert [*tmp_path.glob(".to*")] == []


def test_answer_that_goes_on_after_its_end_is_not_read_for_ever(node, tmp_path):
    node(f"{COPY}say('x' * 10240); say(f'{{mark}} 000\\n'); {ENDLESS}")
    with pytest.raises(Rejected):
        ENGINE.download(REFERENCE, make_output(), tmp_path / "to")


def make_output() -> Output:
    return Output(name="x", kind="file", source="local_path", uri="/runs/a-1/x")


def test_archive_that_is_none_is_a_failed_copy(node, tmp_path):
    node("say('no archive at all ' * 99)")
    output = Output(name="x", kind="file", source="local_path", uri="/x")
    with pytest.raises(Rejected):
        ENGINE.download(REFERENCE, output, tmp_path / "to")
    assert not (tmp_path / "to").exists()
