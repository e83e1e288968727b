"""A submit may be killed between any two steps: what it was sending runs once, never twice, and is found again."""

import functools
import io
import os
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from crash import folder_of, kill_at_each_step, line_plan, put_in_place
from local_runs import Runs, wait_for
from robotrain.errors import Rejected, format_problem
from robotrain.model.plan import Plan
from robotrain.model.reference import Reference
from robotrain.run_folder.file_names import PAYLOAD_FOLDER
from robotrain_local import process_list, spec, submit, supervisor
from robotrain_local import spec as files

pytestmark = pytest.mark.slow  # real processes and their patience

Numbered = Callable[[int], Plan]


@pytest.fixture
def plan(runs: Runs, tmp_path: Path) -> Numbered:
    """The plan of the run that adds a line to `lines-NUMBER`."""
    return lambda number: line_plan(runs, tmp_path / f"lines-{number}", f"tiny-{number}")


@pytest.fixture
def run_lines(tmp_path: Path) -> Callable[[int], list[str]]:
    """A line for each time that run began."""

    def read(number: int) -> list[str]:
        written = tmp_path / f"lines-{number}"
        return written.read_text().splitlines() if written.exists() else []

    return read


def submit_again(runs: Runs, plan: Plan) -> Reference:
    """What core does with a record that is still `sending`."""
    if reference := runs.local.find(plan):
        return reference
    assert list(runs.local.preflight(plan)) == []
    return runs.local.submit(plan)


def is_complete(plan: Plan) -> bool:
    folder = folder_of(plan)
    payload = zipfile.ZipFile(io.BytesIO(plan.files[files.PAYLOAD_FILE]))
    unpacked = {f"{PAYLOAD_FOLDER}/{name}": payload.read(name) for name in payload.namelist()}
    expected = {**plan.files, **unpacked}
    return not submit.list_partial_folders(folder) and all(
        (folder / path).read_bytes() == expected[path] for path in expected
    )


def replace_python(path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Supervisors are started with this shell script in the place of Python."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


@pytest.mark.slow
@pytest.mark.long
def test_submit_killed_at_any_step_and_repeated_runs_once(
    runs: Runs, plan: Numbered, run_lines: Callable[[int], list[str]]
) -> None:
    killed = kill_at_each_step(lambda step: functools.partial(runs.local.submit, plan(step)))
    assert killed > 20
    references = [submit_again(runs, plan(step)) for step in range(1, killed + 1)]
    for step, reference in enumerate(references, 1):
        runs.wait_for_end(reference)
        assert (run_lines(step), is_complete(plan(step))) == (["ran"], True), f"killed at step {step}"


@pytest.mark.slow
def test_supervisor_killed_at_any_step_of_its_start_runs_at_most_once(
    runs: Runs, plan: Numbered, run_lines: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "STARTING_SECONDS", 0.1)
    # its end is not what is looked at here
    monkeypatch.setattr(process_list, "list_run_processes", lambda me, folder: [])

    def begins(step: int) -> Callable[[], object]:
        folder = put_in_place(plan(step))
        return lambda: (os.setsid(), supervisor.main(folder))

    killed = kill_at_each_step(begins)
    assert killed > 10
    ends = {}
    for step in range(1, killed + 1):
        state = runs.wait_for_end(submit_again(runs, plan(step))).state
        ends[step] = (run_lines(step), state)
        assert ends[step] in ((["ran"], "failed"), (["ran"], "lost"), ([], "lost")), f"killed at step {step}"
    assert ends[1] == (["ran"], "failed")  # nothing had begun: it was sent again


def test_submitted_run_is_found(runs: Runs, plan: Numbered) -> None:
    assert runs.local.find(plan(1)) is None
    reference = runs.local.submit(plan(1))
    assert runs.local.find(plan(1)) == reference
    assert runs.local.find(plan(2)) is None
    runs.wait_for_end(reference)
    assert runs.local.find(plan(1)) == reference


def test_another_plan_in_the_folder_is_not_found(runs: Runs, tmp_path: Path) -> None:
    first, second = (line_plan(runs, tmp_path / name) for name in ("one", "two"))
    reference = runs.local.submit(first)
    assert runs.local.find(second) is None
    assert [problem.code for problem in runs.local.preflight(second)] == ["run-folder-taken"]
    with pytest.raises(Rejected) as caught:
        runs.local.submit(second)
    assert caught.value.problems[0].code == "run-folder-taken"
    assert runs.local.find(first) == reference


def test_starting_supervisor_is_waited_for(
    runs: Runs, plan: Numbered, run_lines: Callable[[int], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "STARTING_SECONDS", 20.0)
    replace_python(tmp_path / "slow", monkeypatch, f'sleep 0.5; exec {sys.executable} "$@"')
    folder = put_in_place(plan(1))
    submit._start_supervisor(folder, spec.parse_spec(plan(1).files["process.json"]))
    reference = runs.local.find(plan(1))
    assert reference == {"folder": str(folder)}
    runs.wait_for_end(reference)
    assert run_lines(1) == ["ran"]


def test_late_supervisor_leaves_the_run_to_another(
    runs: Runs, plan: Numbered, run_lines: Callable[[int], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "STARTING_SECONDS", 0.0)
    with monkeypatch.context() as slow:
        replace_python(tmp_path / "slow", slow, f'sleep 1; {sys.executable} "$@"; touch {tmp_path}/came')
        submit._start_supervisor(put_in_place(plan(1)), spec.parse_spec(plan(1).files["process.json"]))
    runs.wait_for_end(submit_again(runs, plan(1)))
    wait_for((tmp_path / "came").exists)
    assert run_lines(1) == ["ran"]


def test_supervisor_that_starts_between_find_and_submit_is_the_run(
    runs: Runs, plan: Numbered, run_lines: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "STARTING_SECONDS", 0.0)
    folder = put_in_place(plan(1))
    assert runs.local.find(plan(1)) is None
    submit._start_supervisor(folder, spec.parse_spec(plan(1).files["process.json"]))
    wait_for(lambda: files.has_started(folder))
    assert list(runs.local.preflight(plan(1))) == []
    runs.wait_for_end(runs.local.submit(plan(1)))
    assert run_lines(1) == ["ran"]


def test_submits_of_one_plan_at_once_are_one_run(
    runs: Runs, plan: Numbered, run_lines: Callable[[int], list[str]]
) -> None:
    answers: list[object] = []

    def submit(number: int) -> None:
        try:
            answers.append(runs.local.submit(plan(number)))
        except Rejected as rejected:
            answers.append(rejected.problems[0].why)

    for number in range(5):
        answers.clear()
        submitters = [threading.Thread(target=submit, args=(number,)) for _ in range(4)]
        for submitter in submitters:
            submitter.start()
        for submitter in submitters:
            submitter.join()
        reference = {"folder": str(folder_of(plan(number)))}
        runs.wait_for_end(reference)
        assert reference in answers
        assert all(answer in (reference, "A run of this name was submitted before.") for answer in answers)
        assert (run_lines(number), is_complete(plan(number))) == (["ran"], True)


def test_incomplete_folder_is_completed(
    runs: Runs, plan: Numbered, run_lines: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a power cut, or a robotrain that wrote in place, leaves it."""
    monkeypatch.setattr(submit, "STARTING_SECONDS", 0.1)

    def torn(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:5])

    damages: list[Callable[[Path], object]] = [
        lambda folder: shutil.rmtree(folder / "payload"),
        lambda folder: (folder / "job.json").unlink(),
        lambda folder: torn(folder / "process.json"),
        lambda folder: torn(folder / "payload/adds/a_line.py"),
        lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    ]
    for number, damage in enumerate(damages):
        damage(put_in_place(plan(number)))
        runs.wait_for_end(submit_again(runs, plan(number)))
        assert (run_lines(number), is_complete(plan(number))) == (["ran"], True), f"damage {number}"


def test_folder_with_other_files_is_refused_and_kept(
    runs: Runs, plan: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "STARTING_SECONDS", 0.1)
    thesis = put_in_place(plan(1)) / "thesis.txt"
    thesis.write_text("mine")
    assert runs.local.find(plan(1)) is None
    assert [problem.code for problem in runs.local.preflight(plan(1))] == ["run-folder-taken"]
    with pytest.raises(Rejected):
        runs.local.submit(plan(1))
    assert thesis.read_text() == "mine"


def test_failed_start_leaves_nothing(
    runs: Runs, plan: Numbered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_python(tmp_path / "broken", monkeypatch, "echo 'ImportError: no module named json' >&2; exit 3")
    with pytest.raises(Rejected) as caught:
        runs.local.submit(plan(1))
    assert "no module named json" in format_problem(caught.value.problems[0])
    assert not os.listdir(folder_of(plan(1)).parent)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(Rejected) as caught:
        runs.local.submit(plan(1))
    assert caught.value.problems[0].code == "supervisor-not-started"
    assert not os.listdir(folder_of(plan(1)).parent)


def test_a_full_disk_leaves_nothing(runs: Runs, plan: Numbered, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(Rejected) as caught:
        runs.local.submit(plan(1))
    assert "No space left on device" in format_problem(caught.value.problems[0])
    assert not os.listdir(folder_of(plan(1)).parent)


def test_unreadable_folder_is_not_a_missing_run(runs: Runs, plan: Numbered, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(path: Path, limit: int) -> bytes:
        raise OSError(116, "Stale file handle", str(path))

    sending = plan(1)
    monkeypatch.setattr("robotrain_local.submit.files.read_limited_file", stale)
    with pytest.raises(Rejected) as caught:
        runs.local.find(sending)
    assert caught.value.problems[0].code == "run-folder-refused"


def test_claim_without_hard_links_succeeds_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    assert [files.create_json(tmp_path / "claim.json", {"by": number}) for number in range(3)] == [True, False, False]
    assert files.parse_json((tmp_path / "claim.json").read_bytes()) == {"by": 0}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["claim.json"]
