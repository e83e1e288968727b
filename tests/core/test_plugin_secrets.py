"""What a plugin says with a secret in it is not shown, not kept and not sent, and the plugin is named."""

import base64
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
def wrong(fake_platform, monkeypatch):
    """Let fake answer something else."""

    def answers(**methods) -> None:
        import fake_plugin

        for name, method in methods.items():
            monkeypatch.setattr(fake_plugin.FakePlatform, name, method, raising=False)

    return answers


@pytest.fixture
def sent(robotrain, fake_platform):
    answer = robotrain("submit", *JOB, "--no-pin")
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.strip()


def kept() -> list[Path]:
    """Files below the state that hold the secret."""
    return [
        path for path in files.get_state_folder().rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()
    ]


def written(content: bytes):
    """A platform's `render` that adds a file."""
    import dataclasses

    import fake_plugin

    render = fake_plugin.FakePlatform.render

    def with_a_file(*given):
        plan = render(*given)
        return dataclasses.replace(plan, files={**plan.files, "order.json": content})

    return with_a_file


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["told", "json"])
def test_a_problem_of_a_plugin_is_told_without_its_secret(robotrain, wrong, json):
    spoken = {
        "title": f"no: {SAS}",
        "where": SAS,
        "given": SAS,
        "why": f"It is {SAS}",
        "suggestions": (Suggestion(SAS, SAS),),
    }
    wrong(check=lambda *given: [Problem(code="leaky", stage=Stage.CHECK, **spoken)])
    answer = robotrain("render", *JOB, *json)
    assert answer.exit_code == 3
    assert "acc.blob.core.windows.net/box/one" in answer.stderr
    assert CANARY not in answer.stdout + answer.stderr


def test_what_a_problem_says_without_a_secret_is_told_as_it_is(robotrain, wrong):
    why, way = (
        "Did you sign in? The token: see https://example.com/docs#token",
        Suggestion("fake login #1", "key: yours"),
    )
    wrong(check=lambda *given: [Problem(code="odd", stage=Stage.CHECK, title="no", why=why, suggestions=(way,))])
    told = robotrain("render", *JOB).stderr
    assert f"  {why}\n  use   fake login #1 (key: yours)\n" in told


def test_how_a_run_is_and_what_it_left_are_told_without_secrets(robotrain, wrong, sent):
    wrong(
        status=lambda *given: Status(state="failed", reason=f"cannot read {SAS}"),
        describe_reference=lambda *given: {"page": SAS},
        outputs=lambda *given: [Output(name="log.txt", kind="file", source="blob_url", uri=SAS)],
    )
    for command in (("status",), ("status", "--json"), ("wait",), ("outputs",), ("outputs", "--json")):
        answer = robotrain(*command, sent)
        assert CANARY not in answer.stdout + answer.stderr
    assert "cannot read https://acc.blob.core.windows.net/box/one?<redacted>" in robotrain("status", sent).stdout
    assert kept() == []


@pytest.mark.parametrize("command", [("render",), ("submit", "--no-pin")])
def test_a_plan_that_holds_a_secret_is_refused_before_it_is_kept(robotrain, wrong, fake_platform, command):
    wrong(render=written(json.dumps({"from": SAS}).encode()))
    answer = robotrain(*command, *JOB)
    assert answer.exit_code == 1
    assert "platform fake failed in render: its order.json contains a secret" in answer.stderr
    assert "[plugin-failed]" in answer.stderr
    assert CANARY not in answer.stdout + answer.stderr
    assert (kept(), (fake_platform / "jobs").exists()) == ([], False)


@pytest.mark.parametrize(
    "content",
    [SAS.encode() + b"\xff", b"eyJhbGciOiJub25l" + base64.b64encode(bytes(range(256)) * 9 + b"x")],
    ids=["binary", "packed"],
)
def test_what_only_looks_like_one_in_packed_bytes_is_no_secret(robotrain, wrong, content):
    wrong(render=written(content))
    assert robotrain("render", *JOB).exit_code == 0


def test_a_plan_of_a_folder_is_looked_at_as_well(robotrain, fake_platform, tmp_path):
    robotrain("render", *JOB, "--to", tmp_path / "plan")
    (tmp_path / "plan/job.json").write_text(json.dumps({"from": SAS}))
    answer = robotrain("submit", "--plan", tmp_path / "plan")
    assert answer.exit_code == 1
    assert "its job.json contains a secret" in answer.stderr
    assert CANARY not in answer.stdout + answer.stderr
    assert (kept(), (fake_platform / "jobs").exists()) == ([], False)


def test_a_reference_that_holds_a_secret_is_not_kept_and_the_run_is_not_sent_twice(robotrain, wrong, sent):
    wrong(submit=lambda *given: {"url": SAS}, find=lambda *given: {"url": SAS})
    for _ in range(2):
        answer = robotrain("submit", *JOB, "--no-pin", "--slots", "7")
        assert answer.exit_code == 1
        assert "platform fake failed: its reference to the run contains a secret" in answer.stderr.replace(
            "Platform", "platform"
        )
        assert CANARY not in answer.stdout + answer.stderr
    assert kept() == []


def test_a_checkpoint_at_an_address_with_a_secret_is_not_gone_on_from(robotrain, wrong, sent):
    at = Output(name="checkpoints/000001", kind="checkpoint", source="blob_url", uri=SAS, step=1)
    wrong(status=lambda *given: Status(state="succeeded"), outputs=lambda *given: [at])
    answer = robotrain("resume", sent)
    assert answer.exit_code == 1
    assert "platform fake failed in outputs: its address of a checkpoint contains a secret" in answer.stderr
    assert CANARY not in answer.stdout + answer.stderr


def test_and_a_rejection_of_a_plugin_too(robotrain, wrong, sent):
    def refuses(*given):
        raise Rejected([Problem(code="no", stage=Stage.SUBMIT, title="no", why=SAS)])

    wrong(status=refuses)
    answer = robotrain("status", sent)
    assert answer.exit_code == 1
    assert CANARY not in answer.stdout + answer.stderr
