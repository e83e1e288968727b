"""Workflows of other machines: which cannot become runs of this one, and how they are listed; the kit adopts one."""

import base64
import bz2
import io
import tarfile
import tracemalloc

import pytest
import yaml
from osmo_pipelines import plan, steps
from robotrain.errors import Rejected
from robotrain.plugins.manager import get_plugins
from robotrain.submission.adoption import adopt_submitted_run
from robotrain_osmo import submitted_runs
from robotrain_osmo.observe import workflow_state
from robotrain_osmo.platform import OSMO
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec.render import ARCHIVE_PATH

MAX_BYTES = 8 << 20
"""Of an archive, in place of the 64 MiB that take a test seconds."""
TEXT = """
workflow:
  name: NAME
  tasks:
  - name: train
    image: ubuntu
    command: [train]
"""


@pytest.fixture(autouse=True)
def stored_texts(monkeypatch):
    """The stand-in stores the text of a workflow at once."""
    monkeypatch.setattr(submitted_runs, "SPEC_SECONDS", (0.0,))


def adopt_refused(text: str) -> str:
    with pytest.raises(Rejected) as raised:
        adopt_submitted_run(text, get_plugins(), "osmo")
    return raised.value.problems[0].title


def test_a_workflow_of_another_tool_is_no_run(run):
    assert adopt_refused(run.id) == f"{run.id} is no run of robotrain: it has no job document, or not yet"


def test_a_workflow_that_osmo_does_not_have_is_gone(osmo):
    assert "OSMO has no workflow lerobot-train-0123abcd-1-7" in adopt_refused("lerobot-train-0123abcd-1-7")


def test_a_pipeline_is_not_adopted(osmo):
    workflow = OSMO.engine.submit(plan(steps(settings={"pool": "default"})))["workflow"]
    assert adopt_refused(workflow) == f"{workflow} is a pipeline, which cannot be recorded on another machine"
    osmo.submit(TEXT.replace("NAME", "lerobot-train-00000001-1"))
    listed = {
        submission.text: submission.can_be_adopted
        for submission in OSMO.engine.list_submitted(OsmoSettings(), everyone=False)
    }
    assert listed == {"lerobot-train-00000001-1-1": True, workflow: False}


def make_bomb() -> bytes:
    entry = tarfile.TarInfo("payload")
    entry.size = MAX_BYTES * 8
    return bz2.compress(entry.tobuf() + bytes(entry.size))


def make_link() -> bytes:
    with tarfile.open(fileobj=(buffer := io.BytesIO()), mode="w:bz2") as packed:
        entry = tarfile.TarInfo("job.json")
        entry.type, entry.linkname = tarfile.SYMTYPE, "job.json"
        packed.addfile(entry)
    return buffer.getvalue()


@pytest.mark.parametrize("make", [make_bomb, make_link, lambda: b"BZh"])
def test_an_archive_that_somebody_made_is_no_run(osmo, monkeypatch, make):
    monkeypatch.setattr(submitted_runs, "MAX_ARCHIVE_BYTES", MAX_BYTES)
    text = yaml.safe_load(TEXT.replace("NAME", "lerobot-train-0123abcd-1"))
    contents = base64.b64encode(make()).decode()
    text["workflow"]["tasks"][0] |= {
        "environment": {"ROBOTRAIN_PLAN": "0" * 64},
        "files": [{"path": ARCHIVE_PATH, "contents": contents}],
    }
    osmo.submit(yaml.safe_dump(text))
    tracemalloc.start()
    try:
        assert "is no run of robotrain" in adopt_refused("lerobot-train-0123abcd-1-1")
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (3, 2), (4, 3), (5, 3)])
def test_workflows_are_listed_by_pages(osmo, monkeypatch, count, requests):
    monkeypatch.setattr(workflow_state, "LISTED", "2")
    names = [f"lerobot-train-{number:08x}-1" for number in range(count)]
    for name in names:
        osmo.submit(TEXT.replace("NAME", name))
    osmo.forget()
    listed = [*OSMO.engine.list_submitted(OsmoSettings(), everyone=False)]
    assert [submission.run for submission in listed] == names[::-1], "the newest first"
    assert [submission.text for submission in listed] == [f"{name}-1" for name in names[::-1]]
    assert len(osmo.calls) == requests <= -(-count // 2) + 2


def test_runs_of_others_and_workflows_of_other_tools_are_told_apart(osmo):
    for name, user in {"lerobot-train-00000001-1": "ann", "lerobot-train-00000002-1": "bob", "hello": "ann"}.items():
        osmo.configure(user=user)
        osmo.submit(TEXT.replace("NAME", name))
    osmo.configure(user="ann")
    listed = {
        everyone: [
            (submission.text, submission.user, submission.state)
            for submission in OSMO.engine.list_submitted(OsmoSettings(), everyone)
        ]
        for everyone in (False, True)
    }
    ann = ("lerobot-train-00000001-1-1", "ann", "pending")
    assert listed == {False: [ann], True: [("lerobot-train-00000002-1-1", "bob", "pending"), ann]}


def test_without_the_command_osmo_is_not_set_up():
    settings = OsmoSettings(osmo_cli="no-such-osmo")
    assert OSMO.engine.list_submitted(settings, everyone=False) is None
    assert OSMO.engine.find_submitted("pick-7", settings) is None
    with pytest.raises(Rejected, match="cannot start the `osmo` command"):
        OSMO.engine.find_submitted("lerobot-train-0123abcd-1-7", settings)


def test_addresses_are_no_workflows(osmo):
    assert OSMO.engine.find_submitted("https://osmo.lab/workflows/x-7", OsmoSettings()) is None
    assert osmo.calls == []


def list_asked(osmo) -> list[str]:
    """Return the workflows whose text was asked for since the last time."""
    workflows = [call[2] for call in osmo.calls if call[:2] == ["workflow", "spec"]]
    osmo.forget()
    return workflows


@pytest.mark.parametrize(("storing_seconds", "times"), [(0.0, 1), (3600.0, 3)])
def test_text_of_an_older_workflow_is_read_once(osmo, monkeypatch, storing_seconds, times):
    workflow = submit_named(osmo, "lerobot-train-0123abcd-1")
    monkeypatch.setattr(submitted_runs, "SPEC_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(submitted_runs, "STORING_SECONDS", storing_seconds)
    adopt_refused(workflow)
    assert list_asked(osmo) == [workflow] * times


def submit_named(osmo, run: str, user: str = "") -> str:
    osmo.configure(user=user or "ann")
    return osmo.submit(TEXT.replace("NAME", run))
