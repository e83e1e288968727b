"""The trainer of a workload is asked whether it accepts a job's options: by which Python, and what its answers do."""

import hashlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import robotrain
from pretend_index import sha256, wheel
from robotrain.errors import Rejected
from robotrain_runtime.environments import uv_program

WORKLOAD = """
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugin import Param, Role, Workload, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    verses: Annotated[int, Param(help="how many verses", gt=0)] = 3

@hook
def robotrain_workloads():
    roles = {"dataset": Role()}
    yield Workload(
        name="sing", summary="sings", parameters=Parameters, roles=roles, container_plugin="song_work",
        program="the singer", produces="files",
    )
"""
CONTAINER = """
from pathlib import Path
from robotrain_runtime.plugin import PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).with_name("song.txt"), python="3.10-3.14", gib=0.01, required_packages={"typer": "0"}
)
DESCRIBED = {"dataset": ("score.txt",)}


def compare(document, described):
    scores = (folder / "score.txt" for folder in described.values())
    return [f"{score} is out of tune" for score in scores if "false" in score.read_text()]


def check_command(document, described, work):
    if "--silent=1" in document.trainer_args:
        return None
    known = [str(folder / "score.txt") for folder in described.values()]
    return WorkCommand(arguments=("-m", "song_check", str(work / "made"), *known, "--", *document.trainer_args))


def work(document, data, work):
    return WorkCommand(arguments=("-c", "pass"))


def tracked(document):
    return TrackingSpec(experiment="songs", run_name="song", params={}, tags={})
"""
PROGRAM = """
import json, os, sys, time
from robotrain_runtime.plugin import Verdict, emit_verdict

separator = sys.argv.index("--")
options = dict(word[2:].split("=", 1) for word in sys.argv[separator + 1 :])
with open(options.get("log", os.devnull), "a") as log:
    log.write(json.dumps({"environ": dict(os.environ), "folder": os.getcwd(), "path": sys.path}) + "\\n")
answer = options.get("answer", "accept")
if answer == "accept":
    print("la la la")
    emit_verdict(Verdict(result="accepted"))
elif answer == "refuse":
    given = f"--pitch={options['pitch']}"
    text = f"no song of {sys.argv[2]} has the pitch {options['pitch']}"
    emit_verdict(Verdict(result="refused", text=text, options=(given,), ways=("leave out --pitch",)))
elif answer == "refuse all":
    emit_verdict(Verdict(result="refused", text="the song is too long"))
elif answer == "unsure":
    emit_verdict(Verdict(result="unchecked", text="it has to hear --voice first"))
elif answer == "full disk":
    emit_verdict(Verdict(result="unchecked", text="the disk is full"))
    sys.exit(1)
elif answer == "hang":
    child = os.fork()
    if not child:
        time.sleep(60)
    open(options["pids"], "w").write(f"{os.getpid()} {child}")
    time.sleep(60)
elif answer == "crash":
    raise KeyError("no voice")
elif answer == "garbage":
    for _ in range(100):
        sys.stdout.write("::robotrain:: {{{" * 1000)
        sys.stderr.write("la" * 5000)
"""


@pytest.fixture
def score(tmp_path):
    folder = tmp_path / "score"
    folder.mkdir()
    (folder / "score.txt").write_text("c d e")
    return folder


@pytest.fixture
def song_folder(install):
    """The folder of a stranger's workload that has a check command."""
    modules = {"song_plugin": WORKLOAD, "song_work": CONTAINER}
    folder = install("acme-song", {"workload.sing": "song_plugin"}, song_check=PROGRAM, **modules)
    (folder / "song.txt").write_text(f"typer=={importlib.metadata.version('typer')} \\\n    --hash=sha256:00\n")
    return folder


@pytest.fixture
def ask(robotrain, song_folder, fake_platform, score, monkeypatch, tmp_path):
    """Run a dry run of a song with options after `--`, and with the Python of these tests as the checker."""
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ROBOTRAIN_CHECKER", sys.executable)

    def ask(*options, words=("submit", "--dry-run"), platform="fake"):
        job = ("sing", "--platform", platform, "--dataset-path", score, *words[1:], "--json")
        return robotrain(words[0], *job, *(("--", *options) if options else ()))

    return ask


def find_problems(answer, code):
    listed = answer.json["problems"] if answer.exit_code else []
    assert answer.exit_code or f"[{code}]" not in answer.stderr
    return [problem for problem in listed if problem["code"] == code]


def test_accepted_options_are_sent_without_a_word(ask):
    answer = ask()
    assert answer.exit_code == 0, answer.stderr
    assert "dry run" in answer.stderr
    assert "[" not in answer.stderr


def test_refusal_names_the_option_the_reason_and_what_is_accepted(ask, score):
    answer = ask("--answer=refuse", "--pitch=h")
    assert answer.exit_code == 4
    (problem,) = find_problems(answer, "options-refused")
    assert (problem["where"], problem["given"]) == ("--", "--pitch=h")
    assert problem["title"] == "the singer refuses --pitch=h"
    assert f"no song of {score}/score.txt has the pitch h. Asked: typer " in problem["why"]
    assert problem["instead"] == [{"text": "leave out --pitch", "remark": "", "replaces": "--pitch"}]


def test_refusal_without_an_option_is_about_all(ask):
    (problem,) = find_problems(ask("--answer=refuse all"), "options-refused")
    assert (problem["title"], problem["where"]) == ("the singer refuses the options of this job", "")


def test_submit_to_another_machine_is_refused_too_and_sends_nothing(ask, fake_platform):
    answer = ask("--answer=refuse", "--pitch=h", words=("submit",))
    assert answer.exit_code == 4
    assert find_problems(answer, "options-refused")
    assert list(fake_platform.iterdir()) == []


def test_explain_asks_only_with_check(ask):
    assert ask("--answer=refuse", "--pitch=h", words=("explain",)).exit_code == 0
    assert ask("--answer=refuse", "--pitch=h", words=("explain", "--check")).exit_code == 4


def test_checker_of_explain_needs_check(ask):
    assert "no effect without --check" in ask(words=("explain", "--checker", "none")).stderr


def test_call_of_the_api_is_checked_too(ask, score, monkeypatch):
    ask()  # loads the plugins
    job = {"workload": "sing", "platform": "fake", "dataset_path": score, "trainer_args": ["--answer=refuse all"]}
    monkeypatch.setenv("ROBOTRAIN_CHECKER", "none")
    with pytest.raises(Rejected, match="the singer refuses"):
        robotrain.submit(**job, checker=sys.executable)
    assert robotrain.submit(**job).name


def test_render_asks_nobody(ask, tmp_path):
    assert ask(f"--log={tmp_path}/log", words=("render",)).exit_code == 0
    assert not (tmp_path / "log").exists()


def test_platform_that_runs_here_leaves_it_to_the_run_unless_nothing_is_sent(ask, tmp_path):
    assert ask("--answer=refuse", "--pitch=h", platform="local").exit_code == 4
    log = tmp_path / "log"
    ask(f"--log={log}", words=("submit", "--wait"), platform="local")
    assert not log.exists()


def test_inputs_that_do_not_fit_end_before_it(ask, score, tmp_path):
    (score / "score.txt").write_text("false notes")
    answer = ask("--answer=refuse", "--pitch=h", f"--log={tmp_path}/log")
    assert [problem["code"] for problem in answer.json["problems"]] == ["data-unusable"]
    assert not (tmp_path / "log").exists()


def test_what_it_cannot_say_is_a_note(ask):
    answer = ask("--answer=unsure")
    assert answer.exit_code == 0
    assert "it has to hear --voice first" in answer.stderr
    assert "note:" in answer.stderr


def test_workload_without_a_command_for_the_job_is_not_asked(ask):
    answer = ask("--silent=1")
    assert (answer.exit_code, "[options-unchecked]" in answer.stderr) == (0, False)


def test_it_runs_isolated_without_secrets_and_offline(ask, tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "AZURE_CLIENT_SECRET", "WANDB_API_KEY", "SOMETHING"):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    Path("json.py").write_text("raise SystemExit('imported from the folder')")
    log = tmp_path / "log"
    assert ask(f"--log={log}").exit_code == 0
    seen = json.loads(log.read_text())
    assert seen["folder"] == "/"
    assert "hidden" not in seen["environ"].values()
    assert seen["environ"]["HF_HUB_OFFLINE"] == "1"
    assert str(tmp_path) not in seen["path"]
    assert not any(path.startswith(str(Path.cwd())) for path in seen["path"])


def test_same_question_is_answered_from_the_cache(ask, score, tmp_path, song_folder):
    log = tmp_path / "log"
    options = (f"--log={log}", "--answer=refuse", "--pitch=h")

    def count():
        return len(log.read_text().splitlines())

    first, second = (find_problems(ask(*options), "options-refused") for _ in range(2))
    assert (first, count()) == (second, 1)
    assert ask(*options, words=("explain", "--check")).exit_code == 4
    assert count() == 1
    (score / "score.txt").write_text("c d f")
    ask(*options)
    assert count() == 2  # other data
    ask(*options[:2], "--pitch=fis")
    assert count() == 3  # another option
    (song_folder / "song_check.py").write_text(f"{PROGRAM}\n# changed\n")
    ask(*options[:2], "--pitch=fis")
    assert count() == 4  # other code


def test_cache_lists_and_removes_verdicts(ask, robotrain, tmp_path):
    log = tmp_path / "log"
    ask(f"--log={log}")
    assert [entry["name"] for entry in robotrain("cache", "--json").json["entries"]] == ["verdicts"]
    robotrain("cache", "--prune", "--unused", "0d", "--yes").check(0)
    ask(f"--log={log}")
    assert len(log.read_text().splitlines()) == 2


def test_damaged_verdict_in_the_cache_is_asked_for_again(ask, tmp_path):
    log = tmp_path / "log"
    ask(f"--log={log}")
    (file,) = (tmp_path / "cache/verdicts").iterdir()
    file.write_text("::robotrain:: {")
    assert ask(f"--log={log}").exit_code == 0
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize("answer", ["crash", "garbage"])
def test_checker_without_a_verdict_is_named_and_the_rest_counts(ask, answer, tmp_path):
    done = ask(f"--answer={answer}", f"--log={tmp_path}/log")
    assert done.exit_code == 0
    assert "[checker-unusable]" in done.stderr
    assert sys.executable in done.stderr
    assert len(done.stderr) < 2000
    if answer == "crash":
        assert "no voice" in done.stderr


def test_verdict_of_a_checker_that_failed_is_not_kept(ask, tmp_path):
    log = tmp_path / "log"
    for _ in range(2):
        assert "the disk is full" in ask("--answer=full disk", f"--log={log}").stderr
    assert len(log.read_text().splitlines()) == 2


def test_checker_that_hangs_is_ended_with_its_children(ask, monkeypatch, tmp_path):
    monkeypatch.setenv("ROBOTRAIN_CHECKER_SECONDS", "1.5")
    pids = tmp_path / "pids"
    answer = ask("--answer=hang", f"--pids={pids}")
    assert answer.exit_code == 0
    assert "no answer within 1.5 s" in answer.stderr
    assert "checking the options of sing with typer" in answer.stderr
    for pid in pids.read_text().split():
        assert is_gone(int(pid))


def test_ctrl_c_ends_it_with_its_children(ask, command, song_folder, fake_platform, score, tmp_path):
    pids = tmp_path / "pids"
    sites = os.pathsep.join([str(song_folder), os.environ["FAKE_SITE"]])
    line = ("submit", "sing", "--platform", "fake", "--dataset-path", score, "--", "--answer=hang", f"--pids={pids}")
    process = subprocess.Popen([*command, *line], env={**os.environ, "PYTHONPATH": sites}, stderr=subprocess.PIPE)
    for _ in range(500):
        if pids.is_file() and len(pids.read_text().split()) == 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    for pid in pids.read_text().split():
        assert is_gone(int(pid))
    assert not (fake_platform / "runs").exists()


def is_gone(pid):
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_checker_of_another_version_is_named_and_not_used(ask, song_folder, tmp_path):
    (song_folder / "song.txt").write_text("typer==0.0.1 \\\n    --hash=sha256:00\n")
    answer = ask(f"--log={tmp_path}/log")
    assert answer.exit_code == 0
    assert f"it has typer {importlib.metadata.version('typer')}, and the job runs with 0.0.1" in answer.stderr
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [("/no/such/python", "no such file"), ("/" + "long" * 70, "no such file"), ("program", "does not run")],
)
def test_checker_of_the_command_line_must_work(ask, text, why, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    answer = ask(words=("submit", "--dry-run", "--checker", text if text.startswith("/") else program))
    assert answer.exit_code == 2
    (problem,) = find_problems(answer, "checker-unusable")
    assert why in problem["title"]


def test_checker_is_chosen_by_the_flag_then_the_variable_then_the_users_file(ask, monkeypatch, tmp_path):
    log = tmp_path / "log"
    none = ("submit", "--dry-run", "--checker", "none")
    assert ask(f"--log={log}", words=none).exit_code == 0
    monkeypatch.setenv("ROBOTRAIN_CHECKER", "none")
    ask(f"--log={log}")
    assert not log.exists()
    ask(f"--log={log}", words=("submit", "--dry-run", "--checker", sys.executable))
    assert len(log.read_text().splitlines()) == 1
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    write_user_file(f'checker = "{sys.prefix}"\n')
    ask(f"--log={log}", "--pitch=c")
    assert len(log.read_text().splitlines()) == 2


def test_relative_path_in_the_users_file_is_no_program_of_a_project(ask, monkeypatch, tmp_path):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    write_user_file('checker = "venv"\n')
    Path("venv/bin").mkdir(parents=True)
    Path("venv/bin/python").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    Path("venv/bin/python").chmod(0o755)
    answer = ask()
    assert answer.exit_code == 0
    assert f"{os.environ['XDG_CONFIG_HOME']}/robotrain/venv/bin/python is not used" in answer.stderr
    assert not (tmp_path / "ran").exists()


def write_user_file(text):
    file = Path(os.environ["XDG_CONFIG_HOME"], "robotrain/config.toml")
    file.parent.mkdir(parents=True)
    file.write_text(textwrap.dedent(text))


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("chekcer = 'none'\n", "user-file-unknown-key", "'chekcer'"),
        ("checker = 3\n", "user-file-malformed", "checker must be a text"),
        ("checker = \n", "user-file-malformed", "config.toml:1"),
    ],
)
def test_mistakes_in_the_users_file_are_named_and_stop_nothing(ask, monkeypatch, text, code, named):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    write_user_file(text)
    answer = ask()
    assert answer.exit_code == 0
    assert f"[{code}]" in answer.stderr
    assert named in answer.stderr


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".env", "ROBOTRAIN_CHECKER=./trap\n"),
        (".env.local", "ROBOTRAIN_CHECKER=./trap\n"),
        ("robotrain.toml", 'checker = "./trap"\n'),
    ],
)
def test_file_of_a_project_does_not_choose_the_checker(ask, monkeypatch, file, text, tmp_path):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    Path("trap").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    Path("trap").chmod(0o755)
    Path(file).write_text(text)
    answer = ask()
    assert answer.exit_code == 2
    assert file in answer.stderr
    assert not (tmp_path / "ran").exists()


def test_without_a_checker_a_note_says_what_is_left_and_what_closes_the_gap(ask, monkeypatch):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    answer = ask()
    assert answer.exit_code == 0
    assert "[options-unchecked]" in answer.stderr
    assert "--checker build" in answer.stderr


@pytest.fixture
def built(monkeypatch, song_folder, tmp_path):
    """An environment of the lock in the cache."""
    monkeypatch.delenv("ROBOTRAIN_CHECKER", raising=False)
    folder = tmp_path / "cache/environments/0123456789abcdef"
    (folder / "lib/python3/site-packages/typer-1.dist-info").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(sys.executable)
    digest = hashlib.sha256((song_folder / "song.txt").read_bytes()).hexdigest()
    (folder / "robotrain-complete.json").write_text(json.dumps({"lock_digest": digest}))
    return folder


def test_built_environment_of_the_lock_is_found_whatever_its_build(ask, built):
    answer = ask("--answer=refuse", "--pitch=h")
    (problem,) = find_problems(answer, "options-refused")
    assert str(built) in problem["why"]


def test_command_without_the_option_names_the_variable(ask, robotrain, fake_platform, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_CHECKER", "none")
    run = ask(words=("submit",)).json["run"]
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    answer = robotrain("resubmit", run, "--dry-run")
    assert "ROBOTRAIN_CHECKER=build" in answer.stderr
    assert "--checker" not in answer.stderr


def test_misspelt_choice_is_suggested(ask):
    (problem,) = find_problems(ask(words=("submit", "--dry-run", "--checker", "noen")), "checker-unusable")
    assert problem["instead"][0]["text"] == "--checker none"


def test_built_environment_whose_python_is_gone_is_none(ask, built, tmp_path):
    (built / "bin/python").unlink()
    (built / "bin/python").symlink_to(tmp_path / "gone")
    answer = ask("--answer=refuse", "--pitch=h")
    assert answer.exit_code == 0
    assert "--checker build" in answer.stderr


@pytest.mark.slow
@pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")
def test_missing_environment_is_built_on_request_and_asked_from_then_on(ask, monkeypatch, song_folder, tmp_path):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    tiny = wheel(tmp_path, "tiny_arm", "1.0")
    (song_folder / "song.txt").write_text(f"tiny-arm @ {tiny.as_uri()} --hash=sha256:{sha256(tiny)}\n")
    log = tmp_path / "log"
    assert "--checker build" in ask(f"--log={log}").stderr
    assert not log.exists()
    built = ask(f"--log={log}", words=("submit", "--dry-run", "--checker", "build"))
    assert built.exit_code == 0, built.stderr
    assert "Installed 1 package" in built.stderr
    assert len(log.read_text().splitlines()) == 1
    assert "[" not in ask(f"--log={log}", "--pitch=c").stderr
    assert len(log.read_text().splitlines()) == 2


def test_job_file_does_not_choose_the_checker(robotrain, song_folder, fake_platform, monkeypatch):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    Path("job.yaml").write_text("workload: sing\nchecker: ./trap\n")
    answer = robotrain("submit", "job.yaml", "--platform", "fake", "--dry-run")
    answer.check(2, "job.yaml", "checker")
