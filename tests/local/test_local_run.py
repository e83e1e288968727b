"""The status of a run from its submit to its end, also when its processes are killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from local_runs import SAVES, SLEEP, Runs, wait_for
from robotrain.errors import Rejected, format_problem
from robotrain.model.reference import Reference
from robotrain.model.run import RunGone
from robotrain_local import process_list
from robotrain_runtime.contract import checkpoint

pytestmark = pytest.mark.slow  # real processes and their patience

SAVED = SAVES + "time.sleep(600)"


def test_a_run_goes_from_running_to_succeeded(runs: Runs, tmp_path: Path) -> None:
    began = time.time()
    go_on = tmp_path / "go-on"
    reference = runs.submit(f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)")
    assert runs.local.status(reference).state == "running"
    go_on.touch()
    status = runs.wait_for_end(reference)
    assert (status.state, status.exit_code) == ("succeeded", 0)
    assert status.started is not None
    assert status.ended is not None
    assert began - 1 < status.started < status.ended < time.time() + 1


def test_failed_run_has_a_reason(runs: Runs) -> None:
    status = runs.wait_for_end(runs.submit("raise ValueError('the episodes are of different lengths')"))
    assert status.state == "failed"
    assert status.reason == "ValueError: the episodes are of different lengths"


def test_run_that_fails_its_preflight_has_a_reason(runs: Runs) -> None:
    status = runs.wait_for_end(runs.submit("pass", unusable="no action column"))
    assert (status.state, status.exit_code) == ("failed", 4)
    assert "no action column" in status.reason


def test_run_with_an_invalid_document_has_a_reason(runs: Runs) -> None:
    plan = runs.plan("pass")
    status = runs.wait_for_end(runs.local.submit(replace(plan, files={**plan.files, "job.json": b"{}"})))
    assert status.state == "failed"
    assert "job.json is not a valid job document" in status.reason


def test_a_run_outlives_the_process_that_submitted_it(runs: Runs, tmp_path: Path) -> None:
    code = (
        "import sys, os, signal; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/container_plugins'];"
        "from local_runs import Runs; from pathlib import Path;"
        "Runs(Path(sys.argv[2])).submit('import time; time.sleep(1); print(\"still here\")'); os.kill(0, signal.SIGHUP)"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(runs.folder)]
    done = subprocess.run(command, start_new_session=True, check=False)
    assert done.returncode == -signal.SIGHUP
    reference = {"folder": str(runs.folder / "runs" / "tiny-1")}
    assert runs.wait_for_end(reference).state == "succeeded"
    assert "still here" in runs.local.logs(reference, follow=False)


def test_a_hangup_sent_to_the_run_itself_is_ignored(runs: Runs) -> None:
    reference = runs.submit("import time; print('ready'); time.sleep(0.5)")
    runs.wait_until_ready(reference)
    process_list.send_signal([runs.supervisor(reference), runs.runtime(reference)], signal.SIGHUP)
    assert runs.wait_for_end(reference).state == "succeeded"


def test_killed_runtime_is_a_failed_run_that_names_its_checkpoint_and_leaves_no_trainer(runs: Runs) -> None:
    reference = runs.submit(SAVED)
    _, last = runs.sealed(reference)
    before = runs.processes(reference)
    os.kill(runs.runtime(reference), signal.SIGKILL)
    status = runs.wait_for_end(reference)
    assert (status.state, status.exit_code) == ("failed", 137)
    assert "killed by signal 9 (SIGKILL)" in status.reason
    assert f"Its last complete checkpoint, of step 400, is at {last}" in status.reason
    assert len(before) >= 3
    wait_for(lambda: not any(process_list.get_birth(pid) for pid in before))


def test_lost_run_names_its_complete_and_incomplete_checkpoints(runs: Runs) -> None:
    reference = runs.submit(SAVED)
    first, last = runs.sealed(reference)
    process_list.send_signal(runs.processes(reference), signal.SIGKILL)
    status = runs.wait_for_end(reference)
    assert status.state == "lost"
    assert "memory" not in status.reason  # nothing says so
    assert f"step 400, is at {last}" in status.reason
    assert "incomplete" not in status.reason
    (last / checkpoint.MANIFEST).unlink()
    reason = runs.local.status(reference).reason
    assert f"Its last complete checkpoint, of step 200, is at {first}" in reason
    assert f"Its last checkpoint, of step 400, is at {last}; it may be incomplete" in reason
    shutil.rmtree(last.parent)
    assert "checkpoint" not in runs.local.status(reference).reason  # that none is left says who knows that one is due


def test_lost_run_names_a_checkpoint_that_was_only_sealed(runs: Runs) -> None:
    reference = runs.submit(SLEEP)
    runs.wait_until_ready(reference)
    folder = Path(reference["folder"], "outputs/checkpoints/000100")
    folder.mkdir(parents=True)
    (folder / "weights").write_text("w")
    checkpoint.seal_checkpoint(folder, step=100, run="tiny-1", job="j")
    process_list.send_signal(runs.processes(reference), signal.SIGKILL)
    assert f"of step 100, is at {folder}" in runs.wait_for_end(reference).reason


@pytest.mark.parametrize("killed", [(Runs.supervisor,), (Runs.supervisor, Runs.runtime)], ids=["it", "its runtime too"])
def test_run_without_its_supervisor_goes_on_and_can_be_cancelled(
    runs: Runs, killed: tuple[Callable[[Runs, Reference], int], ...]
) -> None:
    reference = runs.submit(SLEEP, grace=10)
    runs.wait_until_ready(reference)
    before = runs.processes(reference)
    process_list.send_signal([find(runs, reference) for find in killed], signal.SIGKILL)
    wait_for(lambda: runs.local.status(reference).reason)
    assert runs.local.status(reference).state == "running"
    runs.local.cancel(reference)
    assert runs.local.status(reference).state == "cancelled"
    wait_for(lambda: not any(process_list.get_birth(pid) for pid in before))


def test_a_run_whose_submit_was_interrupted_is_pending(runs: Runs, tmp_path: Path) -> None:
    (runs.folder / "runs" / "tiny-1").mkdir(parents=True)
    status = runs.local.status({"folder": str(runs.folder / "runs" / "tiny-1")})
    assert status.state == "pending"
    assert "submit again" in status.reason


def test_a_run_whose_folder_is_gone_is_a_lookup_error(runs: Runs, tmp_path: Path) -> None:
    reference = {"folder": str(tmp_path / "nowhere")}
    for look in (runs.local.status, runs.local.cancel, lambda reference: runs.local.logs(reference, follow=True)):
        with pytest.raises(RunGone, match="nowhere"):
            look(reference)


def test_a_run_is_not_submitted_twice(runs: Runs) -> None:
    reference = runs.submit("pass")
    with pytest.raises(Rejected) as caught:
        runs.submit("pass")
    assert "sent a run of this name" in format_problem(caught.value.problems[0])
    assert runs.wait_for_end(reference).state == "succeeded"


def test_a_folder_that_cannot_be_made_is_refused_with_a_way_out(runs: Runs, tmp_path: Path) -> None:
    runs.folder.mkdir()
    (runs.folder / "runs").write_text("")
    with pytest.raises(Rejected) as caught:
        runs.submit("pass")
    assert "--runs-dir FOLDER" in format_problem(caught.value.problems[0])
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(("file", "content"), [("payload.zip", b"PK"), ("process.json", b"{}")])
def test_a_damaged_plan_is_refused_and_leaves_nothing(runs: Runs, file: str, content: bytes) -> None:
    plan = runs.plan("pass")
    damaged = replace(plan, files={**plan.files, file: content})
    with pytest.raises(Rejected, match="the plan cannot be read") as caught:
        runs.local.submit(damaged)
    assert caught.value.exit_code == 2
    assert not (runs.folder / "runs").exists()


def test_run_inherits_the_environment_without_tracking_of_another_project(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "only in memory")
    monkeypatch.setenv("MLFLOW_RUN_ID", "of another project")
    monkeypatch.setenv("PYTHONPATH", "/somebody/elses")
    program = "import os; print(*(os.environ.get(n) for n in ('A_TOKEN', 'MLFLOW_RUN_ID', 'PYTHONPATH')), sep=' | ')"
    reference = runs.submit(program)
    runs.wait_for_end(reference)
    folder = reference["folder"]
    assert f"only in memory | None | {folder}/payload" in runs.local.logs(reference, follow=False)
    contents = [path.read_bytes() for path in Path(folder).glob("*.json")]
    assert not any(b"only in memory" in content for content in contents)
