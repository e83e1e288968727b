"""A cluster that is reached by ssh, as a user of a laptop sees it: a real sshd, and the commands of the stand-in."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from login_node import HOST, LoginNode, close_connections
from robotrain.cli import arguments
from robotrain.run_folder import submit_script
from robotrain.store import records
from robotrain_runtime.contract import event
from robotrain_runtime.environments import interpreter
from slurm_stand_in import SlurmStandIn

PROGRAM = ("--", "python", "main.py")


@pytest.fixture(autouse=True)
def code():
    Path("code").mkdir()
    Path("code", "main.py").write_text("print(1)\n")
    Path("code", "run me.sh").write_text("#!/bin/sh\n")
    Path("code", "run me.sh").chmod(0o755)


@pytest.fixture
def words(login_node, tmp_path):
    """The command line of a submit."""
    places = ("--runs-dir", tmp_path / "cluster runs", "--cache-dir", tmp_path / "cache")
    job = ("command", "--platform", "slurm", "--login", HOST, "--code", "code", "--gpus", "0")
    return ("submit", *job, "--cpus", "1", "--memory", "1G", *places)


@pytest.fixture
def submit(robotrain, words):
    """Submit a run; return its name and its folder on the cluster."""

    def run(*more: object) -> tuple[str, Path]:
        answer = robotrain(*words, *more, "--json", *PROGRAM)
        assert answer.exit_code == 0, answer.stderr
        name = json.loads(answer.stdout)["run"]
        return name, Path(records.read_record(name).reference["folder"])

    return run


def test_submit_copies_the_code_and_sends_the_job_once_by_one_ssh(submit, slurm, login_node):
    run, folder = submit()
    (job,) = slurm.read_jobs()
    assert (job["name"], job["folder"]) == (run, str(folder))
    assert (folder / "code/main.py").read_text() == "print(1)\n"
    assert os.access(folder / "code/run me.sh", os.X_OK)
    assert (folder / "payload/robotrain_runtime/__main__.py").is_file()
    assert records.read_record(run).reference["login"] == HOST
    assert login_node.count_logins() == 1


def test_the_same_job_of_another_machine_is_refused_with_what_records_it(
    submit, robotrain, words, slurm, tmp_path, monkeypatch
):
    run, folder = submit()
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "second"))
    assert f"adopt --platform slurm '{HOST}:{folder}'" in robotrain(*words, *PROGRAM).stderr
    robotrain("adopt", "--platform", "slurm", f"{HOST}:{folder}").check(0)
    assert (records.list_runs(), len(slurm.read_jobs())) == ([run], 1)


def test_status_is_one_connection(submit, slurm, login_node, robotrain):
    run, _ = submit()
    slurm.set_state("1", "RUNNING", nodes="gpu-1")
    before = login_node.count_logins()
    close_connections()
    login_node.clear_calls()
    answer = robotrain("status", run)
    assert "running" in answer.stdout
    assert login_node.count_logins() == before + 1
    assert len(login_node.list_calls()) <= 7, "each is a question on that connection"
    close_connections()
    assert login_node.list_running() == []


SILENCE = "echo 'ssh: connect to host stranger port 22: Connection timed out' >&2; exit 255"


@pytest.mark.parametrize(
    "silence", [SILENCE, pytest.param("exec sleep 60", marks=[pytest.mark.slow, pytest.mark.long])]
)
def test_silent_login_node_hides_no_runs_of_another_one(
    submit, words, slurm, login_node, robotrain, silence, monkeypatch
):
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "15")  # ssh has 90% of it; beside Slurm's start 0.5 s are too few
    run, _ = submit()
    slurm.set_state("1", "RUNNING", nodes="gpu-1")
    elsewhere = ["stranger" if word == HOST else word for word in words]
    for _ in range(3):
        assert robotrain(*elsewhere, "--new", *PROGRAM).exit_code == 0
    close_connections()
    login_node.clear_calls()
    ssh = login_node.bin / "ssh"
    words = f'echo "$*" >>{login_node.folder}/words\n'
    ssh.write_text(ssh.read_text().replace("exec", f'{words}case "$*" in *" stranger "*) {silence};; esac\nexec', 1))
    answer = robotrain("runs", "--json")
    runs_by_name = {row["run"]: row for row in json.loads(answer.stdout)["runs"]}
    assert runs_by_name.pop(run)["state"] == "running"
    assert [row["state"] for row in runs_by_name.values()] == ["unknown"] * 3
    assert all("stranger does not answer" in row["reason"] for row in runs_by_name.values())
    lines = [line for line in (login_node.folder / "words").read_text().splitlines() if " stranger " in line]
    assert len(lines) == 1, "it is asked once"


def test_log_and_outputs_come_over_the_line(submit, slurm, robotrain, tmp_path):
    run, folder = submit()
    (folder / "log.txt").write_text("first\nsecond ü\n")
    (folder / "outputs/deep/er").mkdir(parents=True)
    (folder / "outputs/deep/er/tool.sh").write_text("echo\n")
    (folder / "outputs/deep/er/tool.sh").chmod(0o750)
    (folder / "outputs/empty").mkdir()
    (folder / "outputs/large.bin").write_bytes(os.urandom((1 << 22) + 5))
    os.mkfifo(folder / "outputs/pipe")  # these three are left out
    (folder / "outputs/gone").symlink_to("/nowhere")
    (folder / "outputs/deep/again").symlink_to(folder / "outputs")
    slurm.set_state("1", "COMPLETED")
    assert robotrain("logs", run).stdout == "first\nsecond ü\n"
    assert robotrain("logs", "--tail", "1", run).stdout == "second ü\n"
    answer = robotrain("outputs", run, "--to", tmp_path / "copy")
    assert answer.exit_code == 0, answer.stderr
    copied = {path.name: path for path in (tmp_path / "copy").rglob("*")}
    assert copied["tool.sh"].stat().st_mode & 0o700 == 0o700
    assert copied["large.bin"].read_bytes() == (folder / "outputs/large.bin").read_bytes()
    assert copied["empty"].is_dir()


@pytest.mark.slow
def test_following_log_ends_with_the_run(submit, slurm, robotrain):
    run, folder = submit()
    slurm.set_state("1", "RUNNING", nodes="gpu-1")
    log = folder / "log.txt"
    log.write_text("first\n")

    def end_run() -> None:
        with log.open("a") as file:
            file.write("last\n")
        slurm.set_state("1", "COMPLETED")

    timer = threading.Timer(1.5, end_run)
    timer.start()
    answer = robotrain("logs", "-f", run)
    assert answer.stdout == "first\nlast\n"


def test_progress_is_read_from_a_copy_of_the_events_that_grows(submit, slurm, robotrain, login_node):
    run, folder = submit()
    slurm.set_state("1", "RUNNING", nodes="gpu-1")
    events = folder / "events.jsonl"

    def add(step: int) -> None:
        line = {"event": "metrics", "time": time.time(), "values": {"loss": 1.0 / step}, "step": step}
        with events.open("a") as file:
            file.write(f"{event.PREFIX}{json.dumps(line)}\n")

    for step in (1, 2):
        add(step)
    assert "step 2" in robotrain("status", run).stdout
    add(30)
    assert "step 30" in robotrain("status", run).stdout
    events.write_text("")
    add(7)  # another file: the run has begun anew
    assert "step 7" in robotrain("status", run).stdout


def test_waiting_run_is_cancelled_there(submit, slurm, robotrain):
    run, _ = submit()
    answer = robotrain("cancel", run)
    assert answer.exit_code == 0, answer.stderr
    assert slurm.read_job("1")["state"].startswith("CANCELLED")
    assert "cancelled" in robotrain("status", run).stdout


def test_ended_run_is_removed_there(submit, slurm, robotrain):
    run, folder = submit()
    slurm.set_state("1", "FAILED")
    robotrain("status", run)
    answer = robotrain("prune", "--keep", "0", "--yes")
    assert answer.exit_code == 0, answer.stderr
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another user")
@pytest.mark.parametrize("name", ["", "payload"])
def test_a_folder_of_another_user_there_is_not_run_nor_removed(submit, slurm, robotrain, name):
    run, folder = submit("--tracking-uri", "http://127.0.0.1:1")
    slurm.set_state("1", "FAILED")
    (folder / "payload/robotrain_runtime/__main__.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    os.chown(folder / name, 65534, -1)
    refused = robotrain("register", run, "arm", "--json").json["problems"][0]
    assert refused["title"] == f"arm was not registered: {folder / name} belongs to the user nobody, not to root"
    assert not (folder / "ran").exists()
    answer = robotrain("prune", run, "--yes")
    assert answer.exit_code == 0, answer.stderr
    assert folder.exists() == (name == "")
    assert records.list_runs() == []


def test_what_a_submit_sends_is_written_by_its_user_only(submit):
    before = os.umask(0o002)
    try:
        folder = submit()[1]
    finally:
        os.umask(before)
    assert [str(path) for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o022] == []


def test_no_value_passes_through_a_shell(words, tmp_path, robotrain, login_node, monkeypatch):
    name = "$(touch hacked) `touch hacked`'; touch hacked #"
    monkeypatch.setenv("ROBOTRAIN_RUNS_DIR", str(tmp_path / name))
    answer = robotrain(
        *(word for word in words if word != "--runs-dir" and not str(word).endswith("runs")), "--note", name, *PROGRAM
    )
    assert answer.exit_code == 0, answer.stderr
    run = records.list_runs()[0]
    folder = Path(records.read_record(run).reference["folder"])
    assert folder.parent.name == name
    (folder / "log.txt").write_text("line\n")
    assert robotrain("logs", run).stdout == "line\n"
    assert not [*login_node.home.rglob("hacked"), *Path().rglob("hacked")]


def test_python_3_10_of_a_login_node_is_enough(submit, slurm, login_node, robotrain, tmp_path):
    if (python := interpreter.find_interpreter("3.10")) is None:
        pytest.skip("no Python 3.10 on this machine")
    (programs := tmp_path / "programs").mkdir()
    (programs / "python3").symlink_to(python)
    login_node.restart(PATH=f"{programs}:{login_node.environment['PATH']}")
    run, folder = submit("--tracking-uri", "http://127.0.0.1:1")
    (folder / "log.txt").write_text("line\n")
    (folder / "outputs").mkdir()
    (folder / "outputs/a.txt").write_text("a")
    slurm.set_state("1", "COMPLETED")
    assert "succeeded" in robotrain("status", run).stdout
    assert robotrain("logs", run).stdout == "line\n"
    assert robotrain("outputs", run, "--to", tmp_path / "copy").exit_code == 0
    assert "not-registered" in robotrain("register", run, "model").stderr  # by the payload's own runtime
    assert "unknown option" not in robotrain("register", run, "model").stderr.lower()


def test_home_folder_is_that_of_the_login_node(robotrain, login_node, monkeypatch):
    job = ("command", "--platform", "slurm", "--login", HOST, "--code", "code", "--environment", "~/env")
    answer = robotrain("render", *job, *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    assert f"#SBATCH --chdir={login_node.home}/robotrain-runs/" in answer.stdout
    assert f'"environment": "{login_node.home}/env"' in answer.stdout
    assert f'"cache": "{login_node.home}/.cache/robotrain"' in answer.stdout


def test_plan_with_absolute_folders_needs_no_connection(robotrain, login_node):
    places = ("--runs-dir", "/scratch/me/runs", "--cache-dir", "/scratch/me/cache")
    job = ("command", "--platform", "slurm", "--login", HOST, "--code", "code", *places)
    assert robotrain("render", *job, *PROGRAM).exit_code == 0
    assert login_node.list_calls() == []


@pytest.fixture
def job(words):
    """The words of a training."""
    return ("lerobot-train", *words[2:6], *words[8:])


def test_path_that_is_not_here_is_offered_as_one_of_the_cluster(robotrain, login_node, job):
    answer = robotrain("submit", *job, "--dataset-path", "/nowhere/episodes", "--dry-run")
    answer.check_problems(2, "slurm-not-here --dataset-path")
    assert f"--dataset-path {HOST}:/nowhere/episodes" in answer.stderr
    assert login_node.list_calls() == []
    answer = robotrain("render", *job, "--policy-path", Path.home() / "my policy")
    assert f"--policy-path '{HOST}:~/my policy'" in answer.stderr


def test_folder_of_the_cluster_is_read_there_and_not_here(robotrain, login_node, job, tmp_path):
    (meta := tmp_path / "data/meta").mkdir(parents=True)
    (meta / "info.json").write_text("{}")
    data = ("--dataset-path", f"{HOST}:{meta.parent}")
    answer = robotrain("render", *job, "--pin", *data, "--policy-path", f"{HOST}:~/policy")
    assert answer.exit_code == 0, answer.stderr
    document, _ = json.JSONDecoder().raw_decode(answer.stdout, answer.stdout.index("{\n"))
    sources = {source["role"]: (source["kind"], source["uri"], source["pin"]) for source in document["sources"]}
    assert sources["dataset"] == ("local_path", str(meta.parent), "")
    assert sources["policy"] == ("local_path", f"{login_node.home}/policy", "")
    assert document["placement"]["mounts"] == []
    assert robotrain("submit", *job, *data, "--dry-run").exit_code == 0
    for command in (
        ("submit", *job),
        ("sweep", *job, "--over", "batch-size=2,3"),
        ("pipeline", "train-eval", *job[1:], "--env", "pusht"),
    ):
        answer = robotrain(*command, "--dataset-path", f"{HOST}:/nowhere/episodes", "--dry-run")
        assert f"the dataset is not on {HOST}" in answer.stderr


@pytest.fixture
def episodes():
    """A folder of the laptop that a program reads."""
    (folder := Path("episodes/meta")).mkdir(parents=True)
    (folder / "info.json").write_text("{}")
    (folder.parent / "run it.sh").write_text("echo\n")
    (folder.parent / "run it.sh").chmod(0o755)
    (folder.parent / ".secret").write_text("stays here")
    return folder.parent


def list_files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def list_copies(uploads: Path, prefix: str = "") -> list[Path]:
    """Return the copies, without their locks and the marks of runs."""
    return [path for path in uploads.iterdir() if path.name.startswith(prefix) and not path.suffix]


def test_folder_of_the_laptop_is_copied_once_per_content(submit, robotrain, words, login_node, tmp_path, episodes):
    data, uploads = ("--dataset-path", "episodes"), tmp_path / "cache/uploads"
    answer = robotrain(*words, *data, "--dry-run", *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    assert f"uploaded to {HOST} once: 2 files, 7 bytes (not uploaded: .secret)" in answer.stderr
    assert not uploads.exists()
    run, folder = submit(*data)
    document = json.loads((folder / "job.json").read_text())
    (mount,) = (mount for mount in document["placement"]["mounts"] if mount["role"] == "dataset")
    copy = Path(mount["folder"])
    assert (copy.parent, mount["uri"]) == (uploads, str(episodes.absolute()))
    assert list_files(copy) == {"meta/info.json": "{}", "run it.sh": "echo\n"}
    assert os.access(copy / "run it.sh", os.X_OK)
    assert f":{copy.name}:" in f":{document['sources'][0]['pin']}:"
    stamp = copy.stat().st_mtime_ns
    Path("same").symlink_to("episodes")
    submit("--new", "--dataset-path", "same")
    assert (list_copies(uploads), copy.stat().st_mtime_ns) == ([copy], stamp), "nothing was copied again"
    (episodes / "meta/info.json").write_text("{ }")
    answer = robotrain("resubmit", run, "--json", "--new")
    assert answer.exit_code == 0, answer.stderr
    assert list_copies(uploads) == [copy], "as it was is there, so the changed folder is not needed"
    submit(*data)
    assert len(list_copies(uploads)) == 2


def test_folder_goes_with_the_last_run_that_reads_it(
    submit, robotrain, slurm, login_node, tmp_path, episodes, monkeypatch
):
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "60")
    first, _ = submit("--dataset-path", "episodes")
    second, _ = submit("--new", "--dataset-path", "episodes")
    uploads = tmp_path / "cache/uploads"
    (marks,) = uploads.glob("*.runs")
    copy = marks.with_suffix("")
    assert {mark.name for mark in marks.iterdir()} == {first, second}
    slurm.set_state("1", "COMPLETED")
    answer = robotrain("prune", first, "--yes")
    assert (answer.exit_code, list_files(copy) != {}) == (0, True), answer.stderr
    marks.joinpath("sent-a-moment-ago").write_text("/its/folder/is/not/there/yet")
    slurm.set_state("2", "COMPLETED")
    assert robotrain("prune", second, "--yes").exit_code == 0
    assert (copy.is_dir(), [mark.name for mark in marks.iterdir()]) == (True, ["sent-a-moment-ago"])
    marks.joinpath("sent-a-moment-ago").unlink()
    third, _ = submit("--dataset-path", "episodes")
    slurm.set_state("3", "COMPLETED")
    assert robotrain("prune", third, "--yes").exit_code == 0
    assert [*uploads.iterdir()] == []


def test_copy_that_was_cut_goes_on_with_the_files_that_are_missing(
    submit, robotrain, words, slurm, login_node, tmp_path, episodes
):
    (episodes / "video.mp4").write_bytes(os.urandom(1 << 26))
    part = tmp_path / "cache/uploads"

    def has_begun() -> bool:
        return any(path.stat().st_size for path in part.glob("*.part/video.mp4"))

    def cut() -> None:
        _wait_until(has_begun, "the copy", 120)
        _cut_lines(login_node)

    killer = threading.Thread(target=cut)
    killer.start()
    answer = robotrain(*words, "--dataset-path", "episodes", *PROGRAM)
    killer.join()
    assert answer.exit_code != 0
    assert "the same command copies the rest" in answer.stderr
    assert (slurm.read_jobs(), records.list_runs()) == ([], [])
    close_connections()
    answer = robotrain(*words, "--dataset-path", "episodes", *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    assert "2 files are there already" in answer.stderr
    (copy,) = part.glob("*/video.mp4")
    assert copy.read_bytes() == (episodes / "video.mp4").read_bytes()


def test_large_copy_is_begun_after_a_yes(robotrain, words, slurm, login_node, tmp_path, episodes, monkeypatch):
    monkeypatch.setattr("robotrain_sources.local_path.upload.ASKED_BYTES", 6)
    line = (*words, "--dataset-path", "episodes")
    assert "7 bytes would be uploaded to" in robotrain(*line, "--dry-run", *PROGRAM).stderr
    answer = robotrain(*line, *PROGRAM)
    answer.check_problems(4, "upload-large --dataset-path")
    assert "--yes" in answer.stderr
    monkeypatch.setattr(arguments, "can_ask", lambda: True)
    answer = robotrain(*line, *PROGRAM)
    assert (answer.exit_code, "upload it? [y/N]" in answer.stderr) == (4, True)
    assert (slurm.read_jobs(), (tmp_path / "cache/uploads").exists()) == ([], False)
    with monkeypatch.context() as agreed:
        agreed.setattr(arguments, "ask_yes", lambda question: True)
        assert robotrain(*line, *PROGRAM).exit_code == 0
    assert robotrain(*line, "--new", *PROGRAM).exit_code == 0, "nothing is left to copy"
    (episodes / "more").write_text("more")
    assert robotrain(*line, "--new", "--yes", *PROGRAM).exit_code == 0


def test_folder_without_its_pin_is_copied_for_its_run(submit, login_node, tmp_path, episodes):
    data = ("--no-pin", "--dataset-path", "episodes")
    run, _ = submit(*data)
    (copy,) = list_copies(tmp_path / "cache/uploads", f"{run}-")
    assert list_files(copy) == {"meta/info.json": "{}", "run it.sh": "echo\n"}
    (episodes / "meta/info.json").write_text("[]")
    other, _ = submit("--new", *data)
    (copy,) = list_copies(tmp_path / "cache/uploads", f"{other}-")
    assert list_files(copy)["meta/info.json"] == "[]"


def test_refused_copy_says_why_and_sends_nothing(robotrain, words, slurm, login_node, tmp_path, episodes):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/uploads").write_text("a file is in the way")
    answer = robotrain(*words, "--dataset-path", "episodes", *PROGRAM)
    answer.check_problems(1, "slurm-not-uploaded --dataset-path")
    assert slurm.read_jobs() == []
    (episodes / "link").symlink_to("/etc/passwd")
    answer = robotrain(*words, "--dataset-path", "episodes", *PROGRAM)
    assert "[upload-links]" in answer.stderr


@pytest.mark.parametrize("layer", ["robotrain.toml", ".env"])
def test_file_of_a_project_chooses_no_login_node(robotrain, layer, login_node):
    text = '[platforms.slurm]\nlogin = "evil"\n' if layer == "robotrain.toml" else "ROBOTRAIN_LOGIN=evil\n"
    Path(layer).write_text(text)
    answer = robotrain("render", "command", "--platform", "slurm", "--code", "code", *PROGRAM)
    assert "setting-not-trusted" in answer.stderr
    assert login_node.list_calls() == []


def test_environment_chooses_the_login_node(robotrain, login_node, words, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_LOGIN", HOST)
    answer = robotrain(*(word for word in words if word not in ("--login", HOST)), *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    assert login_node.count_logins() == 1


def test_line_that_is_lost_while_sbatch_works_is_an_interrupted_submit(
    robotrain, words, slurm: SlurmStandIn, login_node: LoginNode, monkeypatch
):
    monkeypatch.setattr(submit_script, "PATIENCE_SECONDS", 15.0)  # long before `_wait_until` gives up
    slurm.set_mood("hangs")

    def has_sent() -> bool:  # preflight asks before, by --test-only
        return any("--test-only" not in call for call in slurm.read_calls("sbatch"))

    killer = threading.Thread(target=_cut_when, args=(has_sent, login_node))
    killer.start()
    answer = robotrain(*words, *PROGRAM)
    killer.join()
    assert answer.exit_code != 0
    assert f"the connection to {HOST} broke off" in answer.stderr.replace("The connection", "the connection")
    _wait_until(lambda: not login_node.find_agents(), "the end of what the lost call had started")
    answer = robotrain(*words, "--json", *PROGRAM)
    assert answer.exit_code == 0, answer.stderr
    assert len(slurm.read_jobs()) == 1


def _cut_when(condition, login_node: LoginNode) -> None:
    _wait_until(condition, "the moment")
    time.sleep(0.3)
    _cut_lines(login_node)


def _wait_until(condition, what: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def _cut_lines(login_node: LoginNode) -> None:
    for process in login_node.list_running():
        os.kill(process, signal.SIGKILL)


def test_mlflow_of_a_run_is_served_on_the_login_node(submit, slurm, robotrain):
    run, folder = submit()
    slurm.set_state("1", "RUNNING", nodes="gpu-1")
    command = "uvx mlflow@1.0 ui --backend-store-uri sqlite:///x"
    tracking = event.Tracking(uri="sqlite:///x", experiment_id="1", run_id="r", ui=command)
    for name in ("events.jsonl", "log.txt"):
        (folder / name).write_text(event.format_event(tracking) + "\n")
    answer = robotrain("ui", run)
    assert answer.stdout.strip() == command
    assert f"Run the command on {HOST}, and here:" in answer.stderr
    assert answer.stderr.count(f"ssh -N -L 5000:127.0.0.1:5000 {HOST}\n") == 1
