"""A machine runs a script and keeps files the same way, whether it is this one or one that a real sshd reaches."""

import os
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest
from lab import wait_until
from login_node import HOST
from robotrain.errors import Rejected
from robotrain.model.run import Output, RunGone
from robotrain.run_folder import answer, facts, remote_folder, ssh_transport
from robotrain.run_folder.remote_folder import RemoteRunFolders
from robotrain.run_folder.run_folders import RunFolders
from robotrain.run_folder.ssh_transport import NO_COMMAND_CODE, SshTransport
from robotrain.run_folder.transport import Transport, Unreached
from robotrain_runtime.contract import event
from robotrain_runtime.contract.checkpoint import seal_checkpoint

FOLDERS = (RunFolders(), RemoteRunFolders(Transport()))
ODD_NAME = "$(touch hacked) `touch hacked`'\" ü #"


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.slow)])
def there(request) -> Transport:
    if request.param == "local":
        return Transport()
    request.getfixturevalue("login_node")
    return SshTransport(HOST)


def test_script_reads_what_it_is_given_and_says_how_it_ended(there):
    result = there.run("cat; echo wrong >&2; exit 3", b"\0\xffbytes\n")
    assert result == (3, b"\0\xffbytes\n", "wrong\n")


def test_of_what_is_printed_beside_the_answer_the_end_is_kept(there):
    result = there.run("head -c 20000000 /dev/zero >&2; echo the end >&2; echo answer")
    assert (result.stdout, len(result.stderr)) == (b"answer\n", answer.MAX_ERROR_BYTES)
    assert result.stderr.endswith("the end\n")


@pytest.mark.parametrize("script", ["yes", "printf 12345", "cat /dev/zero"])
def test_answer_larger_than_any_is_given_up(there, monkeypatch, script):
    monkeypatch.setattr("robotrain.run_folder.transport.MAX_ANSWER_BYTES", 4)
    with pytest.raises(Unreached) as failure:
        there.run(script)
    assert failure.value.passed_limit


def test_large_input_arrives_whole(there):
    content = os.urandom(3 << 20)
    assert there.run("cat", content).stdout == content


def test_long_script_is_no_word_of_a_command(login_node, engine):
    (login_node.home / ".bash_profile").write_text(f"export PATH={engine}:$PATH\n")
    for there in (Transport(), SshTransport(HOST), SshTransport(HOST, "engine-submit")):
        assert there.run("\n".join(["true"] * 200_000 + ["echo end"])).stdout == b"end\n"


def test_answer_is_received_while_it_comes(there):
    seen = []

    def receive(output):
        seen.append((output.readline(), time.monotonic()))
        seen.append((output.readline(), time.monotonic()))
        return b""

    there.run("echo first; sleep 0.6; echo last", receive=receive)
    (first, early), (last, late) = seen
    assert (first, last) == (b"first\n", b"last\n")
    assert late - early > 0.3


def test_files_are_read_from_an_offset_and_from_their_end(there, tmp_path):
    (file := tmp_path / ODD_NAME).write_bytes(b"0123456789")
    os.utime(file, (1.0, 1234.5))
    paths = {str(file): 3, str(tmp_path): 0, str(tmp_path / "gone"): 0}
    contents = there.read(paths)
    assert contents == {
        str(file): (b"3456789", 10, 1234.5),
        str(tmp_path): None,
        str(tmp_path / "gone"): None,
    }
    assert there.read({str(file): -4})[str(file)].content == b"6789"
    assert there.read({str(file): 99})[str(file)].content == b""


def test_large_file_is_read_in_parts(there, tmp_path):
    (file := tmp_path / "a").write_bytes(os.urandom(answer.CHUNK_BYTES + 5))
    parts = [there.read({str(file): at})[str(file)].content for at in (0, answer.CHUNK_BYTES)]
    assert b"".join(parts) == file.read_bytes()
    assert len(parts[1]) == 5


def test_pipe_is_no_file_and_hangs_nothing(there, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert there.read({str(tmp_path / "pipe"): 0}) == {str(tmp_path / "pipe"): None}


def test_folder_is_listed_with_what_is_below_it(there, tmp_path):
    (top := tmp_path / ODD_NAME).mkdir()
    (top / "a/b").mkdir(parents=True)
    (top / "a/b" / "two\nlines").write_text("12345")
    (top / "link").symlink_to("a")
    entries_by_path = {entry.path: entry for entry in there.list(str(top))}
    assert {path: entry.kind for path, entry in entries_by_path.items()} == {
        "a": "d",
        "a/b": "d",
        "a/b/two\nlines": "f",
        "link": "l",
    }
    assert entries_by_path["a/b/two\nlines"].size == 5
    assert there.list(str(tmp_path / "gone")) == []


def test_file_is_written_as_a_whole(there, tmp_path):
    there.write(str(tmp_path / ODD_NAME), b"\0new\n")
    assert (tmp_path / ODD_NAME).read_bytes() == b"\0new\n"
    assert stat.S_IMODE((tmp_path / ODD_NAME).stat().st_mode) == 0o600
    there.write(str(tmp_path / ODD_NAME), b"newer", 0o644)
    assert (tmp_path / ODD_NAME).read_bytes() == b"newer"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("$")] == [ODD_NAME]
    with pytest.raises(OSError, match=r"No such file|nonexistent"):
        there.write(str(tmp_path / "gone/a"), b"")


def test_folder_is_removed(there, tmp_path):
    (tmp_path / ODD_NAME / "a").mkdir(parents=True)
    there.remove(str(tmp_path / ODD_NAME))
    there.remove(str(tmp_path / ODD_NAME))
    assert not (tmp_path / ODD_NAME).exists()


def test_script_that_takes_too_long_is_ended(there):
    began = time.monotonic()
    with pytest.raises(Unreached) as late:
        there.run("echo a; sleep 30", seconds=3.0)
    assert (late.value.began, late.value.timed_out) == (True, True)
    assert time.monotonic() - began < 10


def test_line_that_is_lost_is_no_answer(login_node, tmp_path):
    def cut() -> None:
        wait_until((tmp_path / "began").exists, "the script")
        subprocess.run(["pkill", "-KILL", "-P", str(login_node.daemon)], check=True)

    threading.Thread(target=cut).start()
    with pytest.raises(Unreached) as lost:
        SshTransport(HOST).run(f"echo a; : >{tmp_path}/began; sleep 30")
    assert (lost.value.began, lost.value.timed_out) == (True, False)


def test_scripts_share_a_connection_until_it_is_closed(login_node):
    there = SshTransport(HOST)
    for _ in range(3):
        assert there.run("echo a").stdout == b"a\n"
    assert login_node.count_logins() == 1
    ssh_transport.close_connections()
    assert there.run("echo a").stdout == b"a\n"
    assert login_node.count_logins() == 2


def test_shared_connection_of_the_user_is_used_and_stays(login_node):
    with tempfile.TemporaryDirectory() as folder:  # a socket has a short path
        options = f"  ControlMaster auto\n  ControlPersist 60\n  ControlPath {folder}/%C\n"
        text = login_node.configuration.read_text()
        login_node.configuration.write_text(text.replace("Host *\n", f"Host *\n{options}"))
        for _ in range(2):  # the first one opens it
            SshTransport(HOST).run("true")
            ssh_transport.close_connections()
            assert [*Path(folder).iterdir()]
        assert login_node.count_logins() == 1
        subprocess.run([login_node.bin / "ssh", "-q", "-O", "exit", HOST], check=True, stderr=subprocess.DEVNULL)


def test_profile_that_prints_is_no_answer(login_node):
    (login_node.home / ".bashrc").write_text("echo robotrain-0123456789abcdef; echo Welcome!\n")
    assert SshTransport(HOST).run("echo a").stdout == b"a\n"


@pytest.mark.parametrize("line", ["exit 0", "echo Closed for repairs; exit 3"])
def test_shell_that_ends_before_the_script(login_node, line):
    (login_node.home / ".bashrc").write_text(f"{line}\n")
    with pytest.raises(Unreached) as ended:
        SshTransport(HOST).run("echo a")
    assert (ended.value.began, ended.value.exit_code) == (False, 0 if line == "exit 0" else 3)
    assert ("Closed" in line) == ("Closed for repairs" in ended.value.text)


@pytest.fixture
def engine(tmp_path) -> Path:
    """A folder with the command of an engine."""
    (folder := tmp_path / "engine").mkdir()
    (folder / "engine-submit").symlink_to("/bin/true")
    return folder


def test_command_that_only_a_login_shell_has_is_found(login_node, engine):
    profile = f"echo noise; read line\nexport PATH={engine}:$PATH MODULES=1\n"
    (login_node.home / ".bash_profile").write_text(profile)
    for command, modules in (("engine-submit", "1"), ("env", "")):
        assert SshTransport(HOST, command).run('cat; echo " $MODULES"', b"x").stdout.decode() == f"x {modules}\n"
    with pytest.raises(Unreached) as missing:
        SshTransport(HOST, "no-such-command").run("echo a")
    assert missing.value.exit_code == NO_COMMAND_CODE


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish", "tcsh"])
@pytest.mark.parametrize("command", ["env", "engine-submit"])
def test_login_shell_of_any_kind_runs_the_script(shell, command, login_node, engine, tmp_path):
    if not (program := shutil.which(shell)):
        pytest.skip(f"no {shell} on this machine")
    home = tmp_path / "home of a user"
    home.mkdir()
    (home / ".cshrc").write_text('echo "Welcome to the cluster"\n')
    (home / ".zshenv").write_text("echo 'Welcome to the cluster'\n")
    (home / ".bash_profile").write_text(f"export PATH={engine}:$PATH\n")
    (home / ".config/fish").mkdir(parents=True)
    (home / ".config/fish/config.fish").write_text("echo 'Welcome to the cluster'\n")
    ssh = login_node.bin / "ssh"
    environment = f"-i HOME='{home}' PATH=/usr/bin:/bin"
    ssh.write_text(f'#!/bin/sh\nfor last; do :; done\nexec env {environment} {program} -c "$last"\n')
    result = SshTransport(HOST, command).run(f'printf %s "$HOME"; command -v {command} >&2; cat', b" input")
    assert result.stdout.decode() == f"{home} input"
    assert result.stderr.strip().endswith(f"/{command}")


def test_machine_without_ssh(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unreached) as missing:
        SshTransport(HOST).run("true")
    assert missing.value.exit_code is None


class CutTransport(Transport):
    """A machine whose answers are cut.

    :param cut: the command that what a script prints passes through.
    """

    def __init__(self, cut: str) -> None:
        self.command = ("/bin/sh", "-c", f'eval "$(head -c {{size}})" | {cut}')


QUESTIONS = {
    "a folder": lambda folders, run: folders.exists(str(run)),
    "no folder": lambda folders, run: folders.exists(str(run / "gone")),
    "facts": lambda folders, run: folders.find_facts([str(run), str(run / "gone")], {"outcome.json": 99}),
    "a file": lambda folders, run: folders.read_file(run / "log.txt"),
    "no file": lambda folders, run: folders.read_file(run / "gone"),
    "log": lambda folders, run: [*folders.open_log(run, "printed", "", "end").read_present(1)],
    "events": lambda folders, run: folders.find_events_file(run),
    "outputs": lambda folders, run: [*folders.list_outputs(run)],
    "no outputs": lambda folders, run: [*folders.list_outputs(run / "gone")],
    "copy": lambda folders, run: folders.download(make_output(run / "log.txt"), run.parent / "to", run),
    "size": lambda folders, run: folders.remove(run, dry_run=True),
    "writer": lambda folders, run: folders.register(run, "model", None, run),
}


def make_output(path: Path) -> Output:
    return Output(name=path.name, kind="file", source="local_path", uri=str(path))


def check_nothing_follows(question, machine, folder, monkeypatch) -> None:
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(folder / "cache"))
    (run := folder / "run").mkdir()
    (run / "log.txt").write_text("a line\n")
    with pytest.raises((Unreached, ValueError, Rejected, OSError)) as failure:
        QUESTIONS[question](RemoteRunFolders(machine), run)
    assert not isinstance(failure.value, RunGone | FileNotFoundError)


@pytest.mark.parametrize("cut", ["head -c -9", "head -n 2", "sed '$d'"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_nothing_follows_from_an_answer_that_was_cut(tmp_path, monkeypatch, question, cut):
    check_nothing_follows(question, CutTransport(cut), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "question", sorted(QUESTIONS.keys() - {"a folder", "no file", "events"})
)  # the shell knows by itself
def test_nothing_follows_where_programs_do_not_start(tmp_path, monkeypatch, question):
    machine = Transport()
    machine.command = ("/bin/sh", "-c", 'script=$(head -c {size}); PATH=/nowhere; eval "$script"')
    check_nothing_follows(question, machine, tmp_path, monkeypatch)


@pytest.mark.parametrize("tail", [None, 0, 1, 2, 9])
@pytest.mark.parametrize("size", [0, 1, answer.CHUNK_BYTES // 4 + 9])
def test_log_of_another_machine_is_read_as_one_of_this(tmp_path, tail, size):
    (tmp_path / "log.txt").write_bytes(b"".join(b"%d\n" % (number % 1000) for number in range(size)) + b"rest")
    os.utime(tmp_path / "log.txt", (1.0, 1.0))
    (tmp_path / "printed").write_text("before\nend: last\n")
    here, there = (folder.open_log(tmp_path, "printed", "[x] ", "end") for folder in FOLDERS)
    assert [*there.read_present(tail)] == [*here.read_present(tail)]


def test_lines_of_a_log_are_read_one_after_the_other(tmp_path):
    """A log of many short lines is never in memory as a whole."""
    (tmp_path / "printed").write_bytes(b"end: later\n" * 2000 + b"a line\n" * 100_000)
    (tmp_path / "log.txt").write_text("last\n")
    os.utime(tmp_path / "log.txt", (1.0, 1.0))
    lines = RunFolders().open_log(tmp_path, "printed", "", "end").read_present(None)
    assert next(lines) == "a line"
    (tmp_path / "printed").unlink()
    *rest, last = lines
    assert rest.count("a line") < 10_000
    assert (rest.count("last"), rest.count("end: later"), last) == (1, 999, "end: later")


def test_last_lines_of_a_log_take_no_question_of_their_own(tmp_path):
    (tmp_path / "log.txt").write_bytes(b"a line\n" * (answer.CHUNK_BYTES // 4))
    (tmp_path / "printed").touch()
    machine = CountingTransport()
    log = RemoteRunFolders(machine).open_log(tmp_path, "printed", "", "end")
    assert [*log.read_present(5)] == ["a line"] * 5
    assert machine.scripts == 1


class CountingTransport(Transport):
    """This machine, with the number of scripts that it has run."""

    scripts = 0

    def run(self, *words, **kwargs):
        self.scripts += 1
        return super().run(*words, **kwargs)


READING = "for _ in 1 2 3 4 5 6; do sleep 0.2; cat /proc/self/stat; done >/dev/null"
REPORT = """echo '{"name": "pick", "version": "3", "step": 2}'"""


def test_long_work_that_reads_is_not_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_folder, "QUIET_SECONDS", 0.6)
    monkeypatch.setattr(remote_folder, "BEAT_SECONDS", 0.1)
    made = register_there(tmp_path, f"sh -c '{READING}'; {REPORT}")
    assert (made.name, made.version) == ("pick", "3")


@pytest.mark.parametrize(
    "work", ["sleep 9", "sleep 9 & wait", "trap 'echo error: stopped >&2; exit 3' TERM; sleep 9 & wait"]
)
def test_work_that_reads_and_writes_nothing_is_ended(tmp_path, monkeypatch, work):
    monkeypatch.setattr(remote_folder, "QUIET_SECONDS", 0.4)
    monkeypatch.setattr(remote_folder, "BEAT_SECONDS", 0.1)
    with pytest.raises(Rejected) as caught:
        register_there(tmp_path, work)
    assert caught.value.problems[0].why == "it read and wrote nothing for 0.4 s"


def test_work_on_a_machine_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_folder, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(remote_folder, "QUIET_SECONDS", 0.1)
    with pytest.raises(Unreached) as failure:
        register_there(tmp_path, "sleep 9")
    assert failure.value.timed_out


def test_exit_code_of_work_there_is_its_own(tmp_path):
    with pytest.raises(Rejected) as caught:
        register_there(tmp_path, "echo 'error: no such model' >&2; exit 3")
    assert caught.value.problems[0].why == "no such model"


def register_there(folder: Path, work: str) -> event.Registered:
    """Register with a runtime that does some work."""
    (folder / "find-python.sh").write_text(work)
    (folder / "payload").mkdir()
    folder.chmod(0o700)
    return RemoteRunFolders(Transport()).register(folder, "pick", None, folder)


def test_facts_of_another_machine_are_those_of_this(tmp_path):
    for name, content in (("outcome.json", b"{}"), ("log", b"0123456789"), ("cancelled", b"")):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1.0, 1234.5))
    (tmp_path / "taken").symlink_to("12_3:token:77")
    files = {"outcome.json": 1 << 10, "log": 4, "cancelled": 0, "engine-end": 9}
    here, there = (folder.find_facts([str(tmp_path), str(tmp_path / "gone")], files) for folder in FOLDERS)
    assert there == here == [facts.read_facts(tmp_path, files), None]


def test_events_of_another_machine_never_look_at_a_folder_of_this(tmp_path):
    (run := tmp_path / "run").mkdir()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    make_checkpoint(elsewhere / "checkpoints/000002")
    (elsewhere / "results").mkdir()
    paths = [elsewhere, run / "../elsewhere", Path("elsewhere"), Path(f"{run}-2/../elsewhere")]
    events = [
        *(event.Checkpoint(step=2, path=f"{path}/checkpoints/000002", model="pretrained_model") for path in paths),
        *(event.Evaluated(episodes=1, scores={}, results=f"{path}/results") for path in paths),
    ]
    (run / "events.jsonl").write_text("".join(f"{event.format_event(made)}\n" for made in events))
    names = [output.name for output in RemoteRunFolders(Transport()).list_outputs(run)]
    assert names == ["events.jsonl"]


def make_checkpoint(folder):
    (folder / "pretrained_model").mkdir(parents=True)
    (folder / "pretrained_model/model.safetensors").write_bytes(b"x" * 100)


def test_outputs_of_another_machine_are_those_of_this(tmp_path):
    run = tmp_path / "a run ü"
    checkpoint = run / "outputs/x/checkpoints/000002"
    (checkpoint / "pretrained_model").mkdir(parents=True)
    (checkpoint / "pretrained_model/model.safetensors").write_bytes(b"x" * 100)
    (run / "outputs/x/more").mkdir()
    (run / "outputs/x/more/file").write_bytes(b"x" * 7)
    for name in ("log.txt", "job.json", "outcome.json"):
        (run / name).write_text("{}")
    made = event.Checkpoint(step=2, path=str(checkpoint), model="pretrained_model")
    large = "x" * answer.CHUNK_BYTES
    seal_checkpoint(checkpoint, step=2, run=run.name, job="a", model="pretrained_model", tracking=large)
    (run / "events.jsonl").write_text("noise\n" * 9 + event.format_event(made) + "\n")
    here, there = ([*folder.list_outputs(run)] for folder in FOLDERS)
    assert there == here
    assert [(output.step, bool(output.digest)) for output in there if output.kind == "checkpoint"] == [(2, True)]


def test_file_that_is_larger_than_allowed_is_not_read_in_part(tmp_path):
    (file := tmp_path / "a").write_bytes(os.urandom(answer.CHUNK_BYTES + 5))
    machine = Transport()
    assert machine.read_whole(str(file), 1 << 21) == file.read_bytes()
    with pytest.raises(ValueError, match="larger"):
        machine.read_whole(str(file), answer.CHUNK_BYTES)
    assert machine.read_whole(str(tmp_path / "b"), 1) is None
