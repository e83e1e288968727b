"""With `--stage`, this machine fetches what the job needs before it is sent."""

import json
import os
import signal
import threading
import time

import pytest
from login_node import HOST
from planned_jobs import job
from robotrain.errors import NotSubmitted, Rejected
from robotrain.model.plan import Payload
from robotrain.run_folder.ssh_transport import SshTransport
from robotrain.run_folder.transport import Transport
from robotrain_slurm.platform import SLURM
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.submit import prefetch

RUNTIME = """
import json, os, pathlib, signal, sys, time
words = sys.argv[1:]
assert words[0] == "fetch" and words[2] == "--to", words
to = pathlib.Path(words[3])
placement = json.loads(pathlib.Path(words[1]).read_text())["placement"]
assert str(to) not in placement["work"]
{acts}
mount = {{"role": "dataset", "uri": "https://a.blob.core.windows.net/box/p?sig=SECRET", "folder": "/cache/data/1"}}
(to / "staged.json").write_text(json.dumps({{"mounts": [mount]}}))
"""
EVENT = """
def send(kind, /, **values):
    print("::robotrain:: " + json.dumps({"event": kind, "time": 1, **values}), flush=True)
"""


@pytest.fixture
def make_plan(tmp_path):
    """Render a staged job whose payload has a runtime that does as told."""

    def make(acts="pass"):
        program = EVENT + RUNTIME.format(acts=acts)
        runtime = {"__init__.py": b"", "__main__.py": program.encode()}
        payload = Payload.from_files({f"robotrain_runtime/{name}": text for name, text in runtime.items()})
        settings = SlurmSettings(runs_dir=str(tmp_path / "runs"), cache_dir=str(tmp_path / "cache"), stage=True)
        return SLURM.plans.render(job(), settings, "a-1", payload, {})

    return make


def test_plan_says_that_the_job_is_staged(make_plan):
    assert json.loads(make_plan().files["slurm.json"])["jobs"][0]["own"]["is_staged"] is True


def test_runtime_of_the_payload_fetches_and_the_run_folder_gets_the_list(make_plan, tmp_path):
    staged = prefetch.fetch_inputs(Transport(), make_plan())
    assert [*staged] == ["job.json"]
    (content,) = [prefetch.place_staged_files(staged)["staged.json"]]
    assert json.loads(content)["mounts"][0]["folder"] == "/cache/data/1"
    assert not (tmp_path / "runs").exists()


def test_login_node_fetches_and_says_what(make_plan, login_node, capfd):
    acts = 'send("stage", name="data", state="started"); print("on the way \\x1b[2J")'
    staged = prefetch.fetch_inputs(SshTransport(HOST, "sbatch"), make_plan(acts))
    assert json.loads(staged["job.json"])["mounts"][0]["folder"] == "/cache/data/1"
    assert capfd.readouterr().err.splitlines() == ["fetching the data …", "on the way \\x1b[2J"]
    with pytest.raises(Rejected) as failed:
        prefetch.fetch_inputs(SshTransport(HOST, "sbatch"), make_plan("sys.exit('error: no uv')"))
    assert failed.value.problems[0].why == "no uv."


def test_assets_only_shows_each_source_without_its_secret(make_plan, tmp_path):
    (line,) = SLURM.engine.prepare(make_plan())
    assert line.endswith("/box/p?<redacted> /cache/data/1")
    assert not (tmp_path / "runs").exists()


def test_progress_is_told(make_plan, capfd):
    acts = """
send("stage", name="data", state="started")
send("note", level="warning", text="slow disk")
print("fetching 3 files")
"""
    prefetch.fetch_inputs(Transport(), make_plan(acts))
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["fetching the data …", "slow disk", "fetching 3 files"]


@pytest.mark.parametrize(
    ("acts", "reason"),
    [
        ('send("note", level="error", text="It is far away."); sys.exit(4)', "It is far away."),
        ('print("error: no uv?sig=SECRET", file=sys.stderr); sys.exit(1)', "no uv"),
        ("os.kill(os.getpid(), 9)", "The process ended with -9"),
    ],
)
def test_failure_says_why_without_secrets(make_plan, acts, reason):
    with pytest.raises(Rejected) as failed:
        prefetch.fetch_inputs(Transport(), make_plan(acts))
    (problem,) = failed.value.problems
    assert problem.code == "slurm-not-staged"
    assert reason in problem.why
    assert "SECRET" not in problem.why


def test_ctrl_c_ends_the_fetch_before_anything_was_sent(make_plan, tmp_path):
    mark = tmp_path / "pid"
    plan = make_plan(f'open({str(mark)!r}, "w").write(str(os.getpid())); time.sleep(60)')

    def interrupt():
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt).start()
    with pytest.raises(NotSubmitted):
        prefetch.fetch_inputs(Transport(), plan)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
