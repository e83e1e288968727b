"""A half's program: its lines are the run's, its answer is a folder or a sentence, and it ends when the run does."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_sources.fetching import program

ANSWERS = """
from pathlib import Path
from robotrain_sources.fetching import errors, program

def act():
    print("fetching", flush=True)
    {act}

program.run_and_answer(act)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a program of these lines, as a half runs its own; the answer, and what it said before."""
    import robotrain_sources

    def run(lines: str) -> tuple[Path, list[str]]:
        (tmp_path / "pretend_fetch.py").write_text(lines)
        root = Path(robotrain_sources.__file__).parents[1]
        messages: list[str] = []
        monkeypatch.setattr(
            program, "make_process_env", lambda modules: {**os.environ, "PYTHONPATH": f"{tmp_path}:{root}"}
        )
        place = ContainerContext(cache=tmp_path, python=Path(sys.executable), log_line=messages.append)
        try:
            return program.run_program(place, "pretend_fetch"), messages
        finally:
            run.said = messages

    return run


def test_a_program_answers_with_a_folder_and_its_other_lines_are_logged(run):
    folder, result = run(ANSWERS.format(act="return Path('/data/x')"))
    assert folder == Path("/data/x")
    assert result == ["fetching"]


def test_a_refusal_is_one_sentence(run):
    with pytest.raises(OSError) as refused:
        run(ANSWERS.format(act="raise errors.FetchError('there is nothing there')"))
    check_refusals(refused.value, "os-error")
    assert run.said == ["fetching"]


def test_trouble_of_the_system_is_named(run):
    with pytest.raises(OSError) as refused:
        run(ANSWERS.format(act="raise OSError(28, 'No space left on device', '/data/x')"))
    check_refusals(refused.value, "os-error")


def test_an_unexpected_error_says_where_and_never_repeats_a_secret(run, tmp_path):
    result = tmp_path / "told"
    result.write_text("at https://me:s3cret@host/x?sig=s3cret with hf_s3cretS3cret and Bearer s3cret.s3cret")
    with pytest.raises(OSError) as refused:
        run(ANSWERS.format(act=f"raise ValueError(Path({str(result)!r}).read_text())"))
    check_refusals(refused.value, "os-error")
    assert any("pretend_fetch.py" in line for line in run.said)
    assert "s3cret" not in "".join(run.said)


def test_a_program_that_crashes_is_reported_with_its_exit_code(run):
    with pytest.raises(OSError) as refused:
        run(ANSWERS.format(act="import os; os.kill(os.getpid(), 9)"))
    check_refusals(refused.value, "os-error")
    with pytest.raises(OSError) as refused:
        run("import nowhere")
    check_refusals(refused.value, "os-error")
    with pytest.raises(OSError) as refused:
        run("pass")
    check_refusals(refused.value, "os-error")


def test_a_program_imports_the_payload_and_not_the_current_folder(tmp_path, monkeypatch):
    for name in ("robotrain_sources", "json"):
        (Path.cwd() / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("VIRTUAL_ENV", "/nowhere")
    place = ContainerContext(cache=tmp_path, python=Path(sys.executable))
    with pytest.raises(OSError) as refused:
        program.run_program(place, "robotrain_sources.mlflow.fetch_program")
    check_refusals(refused.value, "os-error")


def test_a_program_ends_when_the_run_is_stopped(run, tmp_path):
    def stop() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    class Stopped(Exception):
        pass

    def raise_stopped(number: int, frame: object) -> None:
        raise Stopped

    sleeps = (
        "import os, time, pathlib\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "pathlib.Path('new').write_text(str(os.getpid()))\n"
        "os.rename('new', 'pid')\n"
        "time.sleep(60)\n"
    )
    before = signal.signal(signal.SIGINT, raise_stopped)
    threading.Thread(target=stop).start()
    try:
        with pytest.raises(Stopped):
            run(sleeps)
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_there_is_no_program_without_an_environment(tmp_path):
    with pytest.raises(OSError) as refused:
        program.run_program(ContainerContext(cache=tmp_path), "anything")
    check_refusals(refused.value, "os-error")
