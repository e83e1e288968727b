"""Secrets in what a plugin returns are neither shown, stored nor sent, and the plugin is named."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Output, Status
from robotrain.store import files

CANARY = "Q0FOQVJZc2VjcmV0"
SAS = f"https://acc.blob.core.windows.net/box/one?sv=2024-01-01&sig={CANARY}"
JOB = ("--platform", "fake", "-d", "lerobot/pusht")


@pytest.fixture
def replace_methods(fake_platform, monkeypatch):
    """Let fake answer something else."""

    def answers(**methods) -> None:
        import fake_plugin

        for name, method in methods.items():
            monkeypatch.setattr(fake_plugin.FakeEngine, name, method, raising=False)

    return answers


@pytest.fixture
def submitted_run(robotrain, fake_platform):
    answer = robotrain("submit", *JOB, "--no-pin")
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.strip()


def find_leaks() -> list[Path]:
    """Files below the state that hold the secret."""
    return [
        path for path in files.get_state_folder().rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()
    ]


def make_leaking_render(content: bytes):
    """A platform's `render` that adds a file."""
    import dataclasses

    import fake_plugin

    render = fake_plugin.FakeEngine.render

    def with_a_file(*args):
        plan = render(*args)
        return dataclasses.replace(plan, files={**plan.files, "order.json": content})

    return with_a_file


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["text", "json"])
def test_problem_is_shown_without_its_secret(robotrain, replace_methods, json):
    spoken = {
        "title": f"no: {SAS}",
        "where": SAS,
        "given": SAS,
        "why": f"It is {SAS}",
        "suggestions": (Suggestion(SAS, SAS),),
    }
    replace_methods(check=lambda *args: [Problem(code="leaky", stage=Stage.CHECK, **spoken)])
    answer = robotrain("render", *JOB, *json)
    assert answer.exit_code == 3
    assert "acc.blob.core.windows.net/box/one" in answer.stderr
    assert CANARY not in answer.stdout + answer.stderr


def test_problem_without_a_secret_is_shown_unchanged(robotrain, replace_methods):
    reason, way = (
        "Did you sign in? The token: see https://example.com/docs#token",
        Suggestion("fake login #1", "key: yours"),
    )
    replace_methods(
        check=lambda *args: [Problem(code="odd", stage=Stage.CHECK, title="no", why=reason, suggestions=(way,))]
    )
    stderr = robotrain("render", *JOB).stderr
    assert reason in stderr
    assert "fake login #1 (key: yours)\n" in stderr


def test_status_and_outputs_are_shown_without_secrets(robotrain, replace_methods, submitted_run):
    replace_methods(
        status=lambda *args: Status(state="failed", reason=f"cannot read {SAS}"),
        describe_reference=lambda *args: {"page": SAS},
        outputs=lambda *args: [Output(name="log.txt", kind="file", source="blob_url", uri=SAS)],
    )
    for command in (("status",), ("status", "--json"), ("wait",), ("outputs",), ("outputs", "--json")):
        answer = robotrain(*command, submitted_run)
        assert CANARY not in answer.stdout + answer.stderr
    assert (
        "cannot read https://acc.blob.core.windows.net/box/one?<redacted>" in robotrain("status", submitted_run).stdout
    )
    assert find_leaks() == []


@pytest.mark.parametrize("command", [("render",), ("submit", "--no-pin")])
def test_plan_with_a_secret_is_rejected_before_it_is_stored(robotrain, replace_methods, fake_platform, command):
    replace_methods(render=make_leaking_render(json.dumps({"from": SAS}).encode()))
    answer = robotrain(*command, *JOB)
    answer.check_problems(1, "plugin-failed")
    assert CANARY not in answer.stdout + answer.stderr
    assert (find_leaks(), (fake_platform / "jobs").exists()) == ([], False)


@pytest.mark.parametrize(
    "content",
    [SAS.encode() + b"\xff", b"QlpoeyJhbGciOiJub25l" + base64.b64encode(bytes(range(256)) * 9 + b"x")],
    ids=["binary", "bzip2 in base64"],
)
def test_packed_bytes_that_look_like_a_secret_are_accepted(robotrain, replace_methods, content):
    replace_methods(render=make_leaking_render(content))
    assert robotrain("render", *JOB).exit_code == 0


def test_stored_plan_with_a_secret_is_rejected(robotrain, fake_platform, tmp_path):
    robotrain("render", *JOB, "--to", tmp_path / "plan")
    content = json.dumps({"from": SAS}).encode()
    manifest = tmp_path / "plan/robotrain-plan.json"
    body = json.loads(manifest.read_text())
    body["files"]["job.json"] = hashlib.sha256(content).hexdigest()
    manifest.write_text(json.dumps(body))
    (tmp_path / "plan/job.json").write_bytes(content)
    answer = robotrain("submit", "--plan", tmp_path / "plan")
    answer.check_problems(1, "plugin-failed")
    assert CANARY not in answer.stdout + answer.stderr
    assert (find_leaks(), (fake_platform / "jobs").exists()) == ([], False)


def test_reference_with_a_secret_is_not_stored_and_the_run_is_not_sent_twice(robotrain, replace_methods, submitted_run):
    replace_methods(submit=lambda *args: {"url": SAS}, find=lambda *args: {"url": SAS})
    for _ in range(2):
        answer = robotrain("submit", *JOB, "--no-pin", "--slots", "7")
        answer.check_problems(1, "submit-unsure")
        assert CANARY not in answer.stdout + answer.stderr
    assert find_leaks() == []


def test_checkpoint_address_with_a_secret_is_not_resumed_from(robotrain, replace_methods, submitted_run):
    at = Output(name="checkpoints/000001", kind="checkpoint", source="blob_url", uri=SAS, step=1)
    replace_methods(status=lambda *args: Status(state="succeeded"), outputs=lambda *args: [at])
    answer = robotrain("resume", submitted_run)
    answer.check_problems(1, "plugin-failed")
    assert CANARY not in answer.stdout + answer.stderr


def test_rejection_is_shown_without_its_secret(robotrain, replace_methods, submitted_run):
    def refuses(*args):
        raise Rejected([Problem(code="no", stage=Stage.SUBMIT, title="no", why=SAS)])

    replace_methods(status=refuses)
    answer = robotrain("status", submitted_run)
    assert answer.exit_code == 1
    assert CANARY not in answer.stdout + answer.stderr
