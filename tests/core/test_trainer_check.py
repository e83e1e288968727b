"""The trainer of a workload is asked whether it accepts a job's options, and what its answers do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import robotrain
from robotrain.errors import Problem, Rejected, Stage

REFUSED = ("--answer=refuse", "--pitch=h")


def test_refusal_names_the_option_and_what_to_do_and_sends_nothing(ask, fake_platform):
    answer = ask(*REFUSED, words=("submit",))
    answer.check_problems(4, "options-refused -- --pitch=h")
    (problem,) = answer.json["problems"]
    assert problem["instead"] == [{"text": "leave out --pitch", "remark": ""}]
    assert list(fake_platform.iterdir()) == []
    assert ask(*REFUSED).exit_code == 4
    assert ask(*REFUSED, words=("explain",)).exit_code == 0


def test_call_of_the_api_is_checked_too(ask, score, monkeypatch):
    job = {"workload": "sing", "platform": "fake", "dataset_path": score, "trainer_args": ["--answer=refuse all"]}
    monkeypatch.setenv("ROBOTRAIN_CHECKER", "none")
    with pytest.raises(Rejected) as rejected:
        robotrain.submit(**job, checker=sys.executable)
    assert [(problem.code, problem.where) for problem in rejected.value.problems] == [
        ("options-refused", "")
    ]  # of no option
    assert robotrain.submit(**job).name


def test_render_asks_nobody(ask, tmp_path):
    assert ask(f"--log={tmp_path}/log", words=("render",)).exit_code == 0
    assert not (tmp_path / "log").exists()


@pytest.mark.slow
def test_platform_that_runs_here_leaves_it_to_the_run_unless_nothing_is_sent(ask, tmp_path):
    assert ask(*REFUSED, platform="local").exit_code == 4
    log = tmp_path / "log"
    ask(f"--log={log}", words=("submit", "--wait"), platform="local")
    assert not log.exists()


def test_inputs_that_do_not_fit_end_before_it(ask, score, tmp_path):
    (score / "score.txt").write_text("false notes")
    ask(*REFUSED, f"--log={tmp_path}/log").check_problems(4, "data-unusable")
    assert not (tmp_path / "log").exists()


def test_missing_folder_ends_before_it(ask, score, tmp_path):
    score.rename(score.with_name("elsewhere"))
    ask(f"--log={tmp_path}/log", platform="local").check_problems(2, "source-unreachable --dataset-path")
    assert not (tmp_path / "log").exists()


def test_job_that_cannot_be_pinned_ends_before_it(ask, tmp_path, monkeypatch):
    monkeypatch.setattr("robotrain.submission.checked_plan.pin_sources", refuse_pins)
    ask(f"--log={tmp_path}/log").check_problems(4, "pin-unknown")
    assert not (tmp_path / "log").exists()


def refuse_pins(prepared, *others):
    return prepared, [Problem(code="pin-unknown", stage=Stage.PREFLIGHT, title="the revision cannot be resolved")]


def test_what_it_cannot_say_is_a_note(ask):
    ask("--answer=unsure").check_problems(0, "options-unchecked")


def test_workload_without_a_command_for_the_job_is_not_asked(ask):
    answer = ask("--silent=1")
    assert (answer.exit_code, "[options-unchecked]" in answer.stderr) == (0, False)


def test_accepted_options_are_asked_in_isolation_without_secrets_and_offline(ask, tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "AZURE_CLIENT_SECRET", "WANDB_API_KEY", "SOMETHING"):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    Path("json.py").write_text("raise SystemExit('imported from the folder')")
    log = tmp_path / "log"
    answer = ask(f"--log={log}")
    answer.check(0, "dry run")
    assert "[" not in answer.stderr  # it accepts the options: no problem and no note
    seen = json.loads(log.read_text())
    assert seen["folder"] == "/"
    assert "hidden" not in seen["environ"].values()
    assert seen["environ"]["HF_HUB_OFFLINE"] == "1"
    assert str(tmp_path) not in seen["path"]
    assert not any(path.startswith(str(Path.cwd())) for path in seen["path"])


@pytest.mark.parametrize("answer", ["crash", "garbage"])
def test_checker_without_a_verdict_is_named_and_the_rest_counts(ask, answer, tmp_path):
    done = ask(f"--answer={answer}", f"--log={tmp_path}/log")
    done.check_problems(0, "checker-unusable --checker")
    assert len(done.stderr) < 2000


@pytest.mark.slow
def test_checker_that_hangs_is_ended_with_its_children(ask, monkeypatch, tmp_path):
    monkeypatch.setenv("ROBOTRAIN_CHECKER_SECONDS", "1.5")
    pids = tmp_path / "pids"
    answer = ask("--answer=hang", f"--pids={pids}")
    answer.check_problems(0, "checker-unusable --checker")
    assert "checking the options of sing: waiting for typer" in answer.stderr
    assert "for at most 1.5 s" in answer.stderr
    assert "ROBOTRAIN_CHECKER_SECONDS=7.5" in answer.stderr
    for pid in pids.read_text().split():
        assert is_gone(int(pid))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sent"),
    [(("submit",), signal.SIGINT), (("submit", "--dry-run"), signal.SIGTERM)],
)
def test_interrupt_ends_it_with_its_children(ask, command, song_folder, fake_platform, score, tmp_path, words, sent):
    pids = tmp_path / "pids"
    sites = os.pathsep.join([str(song_folder), os.environ["FAKE_SITE"]])
    line = (*words, "sing", "--platform", "fake", "--dataset-path", score, "--", "--answer=hang", f"--pids={pids}")
    process = subprocess.Popen([*command, *line], env={**os.environ, "PYTHONPATH": sites}, stderr=subprocess.PIPE)
    for _ in range(500):
        if pids.is_file() and len(pids.read_text().split()) == 2:
            break
        time.sleep(0.02)
    process.send_signal(sent)
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
