"""What two machines say to each other: what comes from a cluster is data of known kinds, never code or a path."""

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from planned_jobs import job
from robotrain.errors import NotSubmitted, Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.model.plan import Payload
from robotrain.model.run import Output, RunGone, Status, StepStatus
from robotrain_runtime.contract.event import Registered
from robotrain_slurm.login import code, reach
from robotrain_slurm.login.frames import BrokenFrame, read_frame, write_frame
from robotrain_slurm.login.values import BadValue, decode, decode_error, encode, encode_error
from robotrain_slurm.platform import SlurmPlatform
from robotrain_slurm.remote import methods
from robotrain_slurm.remote.events_mirror import EventsMirror
from robotrain_slurm.settings import SlurmSettings

PROBLEM = Problem(
    code="platform-away",
    stage=Stage.SUBMIT,
    title="it is away",
    where="--x",
    given="given",
    why="Why.",
    suggestions=(Suggestion("text", "remark", "--y"), Suggestion("z")),
)
REFERENCE = {"run": "a-1", "folder": "/runs/a-1", "job": "1", "login": "cluster"}


def send(value):
    """Return a value after its way over the line."""
    blobs: list[bytes] = []
    stream = io.BytesIO()
    write_frame(stream, {"result": encode(value, blobs)}, blobs)
    stream.seek(0)
    frame = read_frame(stream)
    assert frame
    return decode(frame.head["result"], frame.blobs)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        "text\n\0 ü",
        b"\0\xff\n",
        ["a", {"b": [b"c", b""]}],
        Path("/a b"),
        PROBLEM,
        Status(state="failed", reason="why", exit_code=3, started=1.0, ended=2.5),
        StepStatus(name="train", state="waiting"),
        Output(name="x", kind="file", source="local_path", uri="/x", step=4, addresses=("a", "b"), size=5),
        Registered(name="m", version="1", step=3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_arrives_as_it_was(value):
    assert send(value) == value


def test_plan_arrives_with_its_files_and_what_the_cluster_needs_of_its_job():
    settings = SlurmSettings(login="me@cluster", runs_dir="/runs", cache_dir="/cache")
    plan = SlurmPlatform().render(job(), settings, "a-1", Payload.from_files({"a": b"\0"}), {})
    arrived = send(plan)
    assert (arrived.files, arrived.digest, arrived.spec) == (plan.files, plan.digest, plan.spec)
    assert arrived.job.parameters == plan.job.parameters
    assert arrived.job.training_gpus == plan.job.training_gpus


@pytest.mark.parametrize(
    "value",
    [
        {"!": "os.system", "value": "touch hacked"},
        {"!": "Status", "value": {"state": "fine"}},
        {"!": "Status", "value": {"state": "failed", "reason": ["x"]}},
        {"!": "Status", "value": {"state": "failed", "more": 1}},
        {"!": "bytes", "value": 7},
        {"!": "problem", "value": {"code": "x"}},
        {"value": 1},
        {"!": ["list"], "value": 1},
    ],
)
def test_value_of_no_known_kind_is_refused(value):
    with pytest.raises(BadValue):
        decode(value, [])


@pytest.mark.parametrize(
    "line", [b"[]\n", b"no json\n", b'{"sizes": [-1]}\n', b'{"sizes": ["x"]}\n', b'{"sizes": [99999999999]}\n']
)
def test_line_that_is_no_frame_is_refused(line):
    with pytest.raises(BrokenFrame):
        read_frame(io.BytesIO(line))


@pytest.mark.parametrize("part", [b"", b'{"sizes": [5]}', b'{"sizes": [5]}\nabc'])
def test_line_that_breaks_off_is_an_end(part):
    assert read_frame(io.BytesIO(part)) is None


@pytest.mark.parametrize(
    "error",
    [Rejected([PROBLEM], transient=True), Rejected([PROBLEM]), RunGone("gone"), Unanswered([PROBLEM]), NotSubmitted()],
    ids=lambda error: type(error).__name__,
)
def test_error_arrives_as_it_was_raised(error):
    blobs: list[bytes] = []
    arrived = decode_error(json.loads(json.dumps(encode_error(error, blobs))))
    assert type(arrived) is type(error)
    assert getattr(arrived, "problems", ()) == getattr(error, "problems", ())
    assert getattr(arrived, "transient", False) == getattr(error, "transient", False)


def test_error_of_a_file_names_it():
    arrived = decode_error(json.loads(json.dumps(encode_error(FileNotFoundError(2, "No such file", "/runs/a"), []))))
    assert (type(arrived), str(arrived)) == (FileNotFoundError, "[Errno 2] No such file: '/runs/a'")
    assert str(decode_error(encode_error(OSError("odd"), []))) == "odd"


def test_other_error_is_a_text():
    assert str(decode_error(encode_error(ValueError("odd"), []))) == "ValueError: odd"


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside"])
def test_file_of_an_output_does_not_leave_its_folder(tmp_path, path):
    parts = [{"path": "", "mode": 0, "folder": True}, {"path": path, "mode": 0o644, "folder": False}, {"content": b"x"}]
    with pytest.raises(OSError, match="leads out"):
        methods._write_parts(parts, tmp_path / "top")
    assert not [*tmp_path.rglob("outside")]


@pytest.mark.parametrize(("given", "mode"), [(0o104777, 0o755), (0o644, 0o644), (0, 0o644), (0o106022, 0o644)])
def test_mode_of_a_copied_file_is_decided_here(tmp_path, given, mode):
    before = os.umask(0o022)
    try:
        methods._write_parts([{"path": "x", "mode": given, "folder": False}, {"content": b"x"}], tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_copied_file_is_not_written_through_a_link(tmp_path):
    (tmp_path / "top").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        methods._write_parts([{"path": "", "mode": 0o644, "folder": False}, {"content": b"x"}], tmp_path / "top")


class TestEventsMirror:
    @pytest.fixture
    def mirror(self):
        mirror = EventsMirror("cluster", REFERENCE)
        mirror.remove()  # tests share the cache
        return mirror

    def test_grows_by_what_is_new(self, mirror):
        assert mirror.describe() == [0, hashlib.sha256(b"").hexdigest()]
        assert mirror.add(0, b"a" * 300, True)
        assert mirror.describe() == [300, hashlib.sha256(b"a" * 256).hexdigest()]
        assert not mirror.add(300, b"b", False)
        assert mirror.path.read_bytes() == b"a" * 300 + b"b"
        assert mirror.path.stat().st_mode & 0o077 == 0

    def test_bytes_that_another_command_has_added_are_not_added_again(self, mirror):
        mirror.add(0, b"abc", False)
        mirror.add(3, b"def", False)
        mirror.add(3, b"def", False)
        assert mirror.path.read_bytes() == b"abcdef"

    def test_file_that_began_anew_replaces_it(self, mirror):
        mirror.add(0, b"abc", False)
        mirror.add(0, b"x", False)
        assert mirror.path.read_bytes() == b"x"

    def test_each_run_of_each_login_node_has_its_own(self, mirror):
        others = [EventsMirror("other", REFERENCE), EventsMirror("cluster", {**REFERENCE, "step": "train"})]
        assert len({mirror.path, *(one.path for one in others)}) == 3


def test_code_that_is_sent_is_enough(tmp_path):
    """A Python without robotrain, and without anything else, imports what runs on a login node."""
    zipfile.ZipFile(io.BytesIO(code.pack_code().archive)).extractall(tmp_path)
    modules = ("robotrain_slurm.login.agent", "robotrain_slurm.remote.tasks", "robotrain_slurm.doctor")
    lazy = ("robotrain.run_folder.ended_run", "robotrain_slurm.submit.staging")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {', '.join((*modules, *lazy))}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_code_is_the_same_bytes_each_time():
    first = code.pack_code()
    code.pack_code.cache_clear()
    assert code.pack_code() == first
    names = zipfile.ZipFile(io.BytesIO(first.archive)).namelist()
    assert "robotrain_slurm/client/refusals.toml.json" in names  # Python 3.10 reads no TOML
    assert not [name for name in names if name.startswith(("robotrain/cli", "robotrain/testing"))]


def test_problem_of_a_login_node_speaks_of_it_by_its_name():
    problem = Problem(
        code="x",
        stage=Stage.PREFLIGHT,
        title="this machine is full",
        suggestions=(Suggestion("rm -r /runs/a", "on this machine"), Suggestion("--runs-dir FOLDER")),
    )
    found = reach.translate_problem(problem, "me@cluster")
    assert found.title == "me@cluster is full"
    assert [one.text for one in found.suggestions] == ["ssh me@cluster rm -r /runs/a", "--runs-dir FOLDER"]
    assert found.suggestions[0].remark == "on me@cluster"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("squeue --me", "squeue --me"),
        ("sinfo --format='%P %f'", "\"sinfo --format='%P %f'\""),
        ("sacctmgr show associations user=$USER", "'sacctmgr show associations user=$USER'"),
        ("rm -r '/runs/$a b'", None),
        ("scancel 7", "scancel 7"),
        ("sbatch --help", "sbatch --help"),
        ("munge --no-input", "munge --no-input"),
    ],
)
def test_command_of_a_login_node_is_one_that_the_shell_of_this_machine_leaves_to_it(command, line):
    problem = Problem(code="x", stage=Stage.SUBMIT, title="", suggestions=(Suggestion(command),))
    (found,) = reach.translate_problem(problem, "me@cluster").suggestions
    assert found.text == f"ssh me@cluster {line}" if line else found.text.startswith("ssh me@cluster ")
    shown = 'USER=laptop; ssh() { shift; printf %s "$*"; }; ' + found.text
    assert subprocess.run(["bash", "-c", shown], capture_output=True, text=True, check=True).stdout == command
