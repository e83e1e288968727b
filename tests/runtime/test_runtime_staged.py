"""What a job needs is fetched before it starts; then it runs without its services."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from robotrain_runtime.contract import document, event
from robotrain_runtime.contract.document import Mount

pytestmark = pytest.mark.slow  # real runs, a second each

PLUGIN_FOLDER = Path(__file__).with_name("container_plugins")

SHOW = """
import os, pathlib
print([pathlib.Path(folder, "numbers.txt").read_text() for folder in os.environ["PRETEND_DATA"].split(":")])
"""
JOIN = """
import pathlib, sys
*folders, to = map(pathlib.Path, sys.argv[1:])
to.mkdir()
(to / "numbers.txt").write_text("+".join((folder / "numbers.txt").read_text() for folder in folders))
"""


@pytest.fixture
def fetch(tmp_path):
    """Start `fetch` for a document, with a folder of the run."""

    def start(made, **environ):
        (tmp_path / "work").mkdir(exist_ok=True)
        (tmp_path / "fetch.json").write_text(document.format_document(made))
        command = [sys.executable, "-m", "robotrain_runtime", "fetch", tmp_path / "fetch.json"]
        return subprocess.Popen(
            [*command, "--to", tmp_path / "work"],
            env={**os.environ, "PYTHONPATH": str(PLUGIN_FOLDER), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def stage(fetch):
    """Fetch for a document; return the exit code, the lines and what was said to be wrong."""

    def wait(made, **environ):
        output, errors = fetch(made, **environ).communicate(timeout=60)
        return [line for line in output.splitlines() if event.parse_event(line) is None], errors

    return wait


def read_staged(tmp_path):
    return json.loads((tmp_path / "work/staged.json").read_text())["mounts"]


def cut_network(tmp_path):
    """Let the carrier fail whenever something starts it."""
    plugins = tmp_path / "plugins"
    shutil.copytree(PLUGIN_FOLDER, plugins)
    with (plugins / "pretend_carrier.py").open("a") as file:
        file.write("\n\ndef deliver(*_):\n    raise JobFailed('there is no network')\n")
    return {"PYTHONPATH": str(plugins)}


def test_staged_job_asks_no_service(stage, run, job, tmp_path):
    made = job(SHOW, carried=["a", "b"])
    lines, errors = stage(made)
    assert (lines, errors) == ([], "")
    staged = read_staged(tmp_path)
    assert [(source["uri"], source["digest"]) for source in staged] == [("a", "digest-of-a"), ("b", "digest-of-b")]
    ran = run(made, **cut_network(tmp_path))
    assert ran.exit_code == 0, ran.lines
    assert ran.ordinary[-1] == "['a', 'b']"


def test_without_staging_the_same_job_fails(run, job, tmp_path):
    ran = run(job(SHOW, carried=["a"]), **cut_network(tmp_path))
    assert ran.exit_code != 0
    assert "there is no network" in ran.outcome["reason"]


def test_merge_is_staged_as_well(stage, run, job, tmp_path):
    made = job(SHOW, carried=["a", "b"], publish={"join": JOIN + "print('joined')"})
    assert stage(made) == (["joined"], "")
    ran = run(made, **cut_network(tmp_path))
    assert ran.exit_code == 0, ran.lines
    assert ran.ordinary == ["['a+b', 'a+b']"]


def test_what_is_only_staged_is_not_made_by_a_run(stage, run, job):
    made = job(SHOW, carried=["a"], publish={"join": JOIN + "print('joined')", "staged": True})
    ran = run(made)
    assert (ran.exit_code, ran.ordinary) == (0, ["['a']"]), ran.lines
    assert stage(made) == (["joined"], "")


def test_source_that_is_mounted_later_is_left_to_the_run(stage, run, job, tmp_path):
    later = tmp_path / "earlier-step"
    mount = Mount(role="dataset", uri="train", folder=str(later))
    made = job(SHOW, sources=["train"], carried=["a"], mounts=(mount,))
    assert stage(made) == ([], "")
    assert [source["uri"] for source in read_staged(tmp_path)] == ["a"]
    later.mkdir()
    (later / "numbers.txt").write_text("later")
    ran = run(made, **cut_network(tmp_path))
    assert ran.exit_code == 0, ran.lines
    assert ran.ordinary[-1] == "['later', 'a']"


def test_staging_needs_no_gpu_of_this_machine(stage, job):
    assert stage(job(SHOW, carried=["a"], publish={"gpus": 8})) == ([], "")


def test_data_that_cannot_be_read_is_reported(fetch, job, tmp_path):
    process = fetch(job(SHOW, carried=["wrong network It is far away."]))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 4
    assert errors.startswith("error: It is far away")
    assert not (tmp_path / "work/staged.json").exists()


def test_staged_data_that_was_removed_is_fetched_again(stage, run, job, tmp_path):
    made = job(SHOW, carried=["a"])
    stage(made)
    shutil.rmtree(tmp_path / "cache/data/a")
    ran = run(made)
    assert ran.exit_code == 0, ran.lines
    assert (tmp_path / "cache/data/a").exists()


@pytest.mark.parametrize(
    ("locks", "publish"),
    [
        pytest.param("data/a.lock", {}, id="a source"),
        pytest.param("prepared/*/*.lock", {"join": JOIN, "staged": True}, id="what the work finds prepared"),
    ],
)
def test_what_was_staged_is_leased_while_the_run_uses_it(stage, run, job, tmp_path, locks, publish):
    cache = str(tmp_path / "cache")
    program = f"""
import fcntl, pathlib
(lock,) = pathlib.Path({cache!r}).glob({locks!r})
fcntl.flock(lock.open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
"""
    made = job(program, carried=["a"], publish=publish)
    stage(made)
    ran = run(made)
    assert "BlockingIOError" in "\n".join(ran.lines)


def test_stopped_staging_leaves_nothing_in_the_runs_folder(fetch, job, stage, tmp_path):
    waits = f"meets {tmp_path / 'began'} {tmp_path / 'never'}"
    process = fetch(job(SHOW, carried=[waits]))
    deadline = time.monotonic() + 30
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "work/staged.json").exists()
    assert stage(job(SHOW, carried=["a"])) == ([], "")


def test_damaged_list_of_staged_data_is_reported(run, job, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/staged.json").write_text('{"mounts": [{"role": 3}]}')
    ran = run(job(SHOW, carried=["a"]))
    assert "staged.json is damaged" in ran.outcome["reason"]
