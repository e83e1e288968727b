"""Submitting a workflow once, to the pool in the settings, and the problems if OSMO refuses."""

import json
import tempfile
from types import SimpleNamespace

import osmo_small_plans
import pytest
from osmo_small_plans import MARK, RUN, SUBMIT_MARK, add_workflow, make_plan, make_workflow
from osmo_stand_in import platform, pool
from osmo_stand_in.service.submission import OVERDUE
from robotrain.errors import Rejected, Unanswered, format_problem
from robotrain_osmo.client import failures, service
from robotrain_osmo.platform import OSMO
from robotrain_osmo.spec.submission_spec import OsmoCredential, OsmoUpload
from robotrain_osmo.submit import submit

HF = OsmoCredential(name="hf_token", key="hf_token", flag="--hf-credential", what="your Hugging Face token")


@pytest.fixture
def fake_osmo(tmp_path):
    """A command that takes a workflow with these words, and has none yet."""

    def make(words: str) -> str:
        path = tmp_path / "osmo"
        listed = """[ "$2" = list ] && echo '{"workflows": []}' && exit"""
        path.write_text(f"#!/bin/sh\n{listed}\ncat <<'END'\n{words}\nEND\n")
        path.chmod(0o755)
        return str(path)

    return make


def list_submits(osmo) -> list[list[str]]:
    return [call for call in osmo.calls if call[:2] == ["workflow", "submit"]]


def submit_refused(wanted) -> str:
    """What is told of the one problem."""
    with pytest.raises(Rejected) as raised:
        OSMO.engine.submit(wanted)
    [problem] = raised.value.problems
    return format_problem(problem)


def test_workflow_is_submitted_once_with_its_pool_and_priority(osmo, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    wanted = make_plan(priority="LOW", publishes="azure://acc/c/x/{{workflow_id}}")
    reference = OSMO.engine.submit(wanted)
    assert reference == {
        "workflow": f"{RUN}-1",
        "cli": "osmo",
        "task": osmo_small_plans.TASK,
        "server": "6.4",
        "publishes": f"azure://acc/c/x/{RUN}-1",
        "run": RUN,
    }
    [workflow] = osmo.workflows.values()
    assert (workflow.pool, workflow.priority) == ("default", "LOW")
    [call] = list_submits(osmo)
    assert call[5:] == ["-t", "json", "-p", "default", "--priority", "LOW"]
    assert call[2].endswith("/workflow.yaml")
    assert not list(tmp_path.glob("robotrain-*"))
    assert workflow.task["environment"] == {
        "ROBOTRAIN_PLAN": MARK,
        "ROBOTRAIN_SUBMIT": submit.NOTE.read(wanted)["mark"],
    }
    count = len(osmo.calls)
    assert OSMO.engine.find(wanted) == reference
    assert len(osmo.calls) == count  # the answer was heard, and is remembered


def test_refusal_has_its_code_and_reason(osmo):
    osmo.pools["default"] = pool({"gpu_platform": platform(node={"cpu": 2, "memory": "9Gi", "storage": "99Gi"})})
    refusal = submit_refused(make_plan(text=make_workflow().replace("cpu: 1", "cpu: 4")))
    assert "[platform-refused]" in refusal
    assert "Value 4.0 too high for CPU" in refusal


def test_a_service_that_cannot_be_reached_got_nothing(osmo):
    osmo.fail("workflow submit", "refused")
    refusal = submit_refused(make_plan())
    assert "[platform-away]" in refusal
    assert "Nothing was sent." in refusal


def test_missing_credential_suggests_the_command_that_creates_it(osmo):
    refusal = "\n".join(map(format_problem, OSMO.engine.preflight(make_plan(credentials=(HF,)))))
    assert "--hf-credential hf_token" in refusal
    assert "osmo credential set hf_token --type GENERIC --payload-file hf_token=/path/to/file" in refusal


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, None])
def test_render_timeout_is_retried_once(osmo, capsys, times):
    osmo.fail("workflow submit", "answer", times=times, code=1, stdout=json.dumps({"message": OVERDUE, "code": 400}))
    if times:
        assert OSMO.engine.submit(make_plan())["workflow"] == f"{RUN}-1"
        assert "within half a second; trying again" in capsys.readouterr().err
    else:
        assert "[osmo-render-time]" in submit_refused(make_plan())
    assert len(list_submits(osmo)) == 2


@pytest.mark.parametrize("form", ["lost", "database"])
@pytest.mark.parametrize("earlier", [0, 1])
def test_submit_whose_answer_was_lost_is_found_among_earlier_ones(osmo, capsys, earlier, form):
    for _ in range(earlier):
        osmo.set_state(add_workflow(osmo), task_status="FAILED")
    osmo.fail("workflow submit", form)
    assert OSMO.engine.submit(make_plan())["workflow"] == f"{RUN}-{earlier + 1}"
    assert len(osmo.workflows) == earlier + 1
    assert f"accepted {RUN}-{earlier + 1}" in capsys.readouterr().err


def test_slow_service_is_asked_for_the_workflow_as_long_again(osmo, monkeypatch, capsys):
    """It stores a workflow after the command has given up."""
    monkeypatch.setattr(submit, "SETTLE_SECONDS", 0.0)
    plan = make_plan()
    submit.NOTE.write(plan, {"mark": SUBMIT_MARK, "before": [], "active": [], "workflow": ""})
    workflow = add_workflow(osmo)
    osmo.fail("workflow list", "answer", stdout='{"workflows": []}', times=2)
    assert submit._handle_failure(plan, failures.TIMEOUT, 60.0)["workflow"] == workflow
    assert "which a slow service stores later" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [(("version",), "platform-away"), (("data", "list", "azure://a/b"), "osmo-storage-unreachable")],
)
def test_silence_is_that_of_the_service_or_of_the_storage(osmo, words, code):
    osmo.fail("", "hang")
    with pytest.raises(service.CommandFailed) as raised:
        service.query_text("osmo", *words, seconds=1.0)
    assert raised.value.failure.code == code


def test_earlier_workflow_is_never_adopted(osmo):
    """Of an equal job that another state folder sent: the same name, the same text."""
    for _ in range(2):
        osmo.set_state(add_workflow(osmo), task_status="FAILED")
    osmo.fail("workflow submit", "server_error")
    wanted = make_plan()
    with pytest.raises(Unanswered, match="HTTP 500"):
        OSMO.engine.submit(wanted)
    assert OSMO.engine.find(wanted) is None
    assert len(osmo.workflows) == 2
    assert OSMO.engine.submit(wanted)["workflow"] == f"{RUN}-3"


@pytest.mark.slow
def test_nothing_is_submitted_if_earlier_workflows_are_unknown(osmo):
    osmo.fail("workflow list", "server_error", times=None)
    assert "[platform-busy]" in submit_refused(make_plan())
    assert not list_submits(osmo)


def test_busy_service_is_asked_four_times(osmo, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(service, "time", SimpleNamespace(sleep=pauses.append))
    osmo.fail("workflow list", "answer", code=75, times=3)
    osmo.fail("workflow submit", "answer", code=75, times=3)
    assert OSMO.engine.submit(make_plan())["workflow"] == f"{RUN}-1"
    assert pauses == [0.5, 1.0, 2.0] * 2


@pytest.mark.parametrize("stdout", ["", "Workflow submit successful.", '{"overview": "x"}', '{"name": null}', "[]"])
def test_success_without_a_workflow_id_is_unanswered(fake_osmo, stdout):
    with pytest.raises(Unanswered, match="no workflow"):
        OSMO.engine.submit(make_plan(cli=fake_osmo(stdout)))


@pytest.mark.parametrize(
    ("warnings", "printed"),
    [('["label team is missing"]', "OSMO warns: label team is missing\n"), ('"deprecated"', "")],
)
def test_warnings_of_the_service_are_passed_on(fake_osmo, capsys, warnings, printed):
    answer = f'noise\n{{"name": "{RUN}-1", "warnings": {warnings}}}'
    assert OSMO.engine.submit(make_plan(cli=fake_osmo(answer)))["workflow"] == f"{RUN}-1"
    assert capsys.readouterr().err == printed


def test_damaged_plan_is_not_submitted(osmo):
    whole = make_plan()
    for path in whole.files:
        files = {name: content for name, content in whole.files.items() if name != path}
        if path not in ("job.json", whole.spec):  # a plan without its spec cannot be made
            damaged = type(whole)(platform="osmo", run=RUN, job=whole.job, spec=whole.spec, files=files)
            assert "[plan-unreadable]" in submit_refused(damaged)
    assert not osmo.calls


@pytest.mark.slow
@pytest.mark.parametrize("version", ["6.0.0", "6.2.10", "6.3.1", "6.4.0"])
def test_every_version_of_osmo_is_supported(osmo, tmp_path, version):
    osmo.configure(client=version, service=version)
    osmo.credentials["hf_token"] = {"hf_token": "x"}
    (tmp_path / "data" / ".cache").mkdir(parents=True)
    for name in ("a", ".cache/b"):
        (tmp_path / "data" / name).write_text(name)
    upload = OsmoUpload(path=str(tmp_path / "data"), url="azure://acc/osmo/x", flag="--dataset-path")
    wanted = make_plan(server=version.rpartition(".")[0], credentials=(HF,), uploads=(upload,), priority="HIGH")
    assert [problem.code for problem in OSMO.engine.preflight(wanted)] == ["upload-needed"]
    reference = OSMO.engine.submit(wanted)
    assert osmo.objects("azure://acc/osmo/x") == {"a": b"a", ".robotrain-complete-1": b"1 file\n"}
    assert OSMO.engine.find(wanted) == reference
