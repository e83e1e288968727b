"""Publish targets by their address: platforms that accept or reject them, and their plugins in the payload."""

import json
import shutil
from pathlib import Path

import pytest
from robotrain.store import plans
from robotrain_runtime.contract import checkpoint

URL = "https://acc.blob.core.windows.net/models/act"
JOB = ("--platform", "plain", "-d", "lerobot/pusht", "--no-pin")


@pytest.fixture
def submit(robotrain, plain_platform):
    return lambda *args: robotrain("submit", *JOB, "--dry-run", *args)


REFUSED = {
    "a kind that the platform does not declare": (URL, 3, "target-not-accepted"),
    "without encryption": ("http://acc.blob.core.windows.net/models/act", 2, "source-invalid"),
    "without a prefix": ("https://acc.blob.core.windows.net/models", 2, "source-invalid"),
    "with a signature": (f"{URL}?sv=1&sig=SECRET", 2, "secret-in-job"),
    "a token in an unknown address": ("ftp://bucket/prefix?token=SECRET", 2, "secret-in-job"),
    "an address of no kind": ("ftp://b/p", 2, "target-not-accepted"),
    "an address of no kind in the web": ("http://x/y", 2, "target-not-accepted"),
    "a folder": ("/x/checkpoints", 3, "feature-not-there"),
    "a relative folder": ("./x", 3, "feature-not-there"),
}


@pytest.mark.parametrize(("text", "exit_code", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_place_that_cannot_be_published_to_is_refused(submit, text, exit_code, problem):
    answer = submit("--publish-url", text)
    answer.check_problems(exit_code, f"{problem} --publish-url")
    assert "SECRET" not in answer.stderr
    assert "/FOLDER" not in answer.stderr, "the platform copies to no folder"


def test_a_folder_is_suggested_where_the_platform_copies_to_folders(robotrain):
    for address, code in {"http://x/y": "target-not-accepted", "./x": "value-invalid"}.items():
        words = ("submit", "--platform", "local", "-d", "u/d", "--no-pin", "--dry-run", "--publish-url", address)
        robotrain(*words).check_problems(2, f"{code} --publish-url {address}")


def test_the_plugin_of_the_target_is_packed(robotrain, tmp_path):
    plan = tmp_path / "plan"
    job = ("--platform", "local", "--dataset-path", "/data", "--publish-url", f"{URL}/", "--keep", "3")
    answer = robotrain("render", *job, "--to", plan)
    assert answer.exit_code == 0, answer.stderr
    document = json.loads(next(plan.rglob("job.json")).read_text())
    assert document["container_plugins"]["target.blob_url"] == "robotrain_sources.blob_url.target"
    assert (document["parameters"]["publish_url"], document["parameters"]["keep"]) == (f"{URL}/", 3)


@pytest.fixture
def published_run(robotrain, fake_platform, tmp_path):
    """A run that published to a folder, and is not known to its platform any more: its name."""

    def make(to) -> str:
        answer = robotrain(
            "submit", "--platform", "fake", "-d", "lerobot/pusht", "--no-pin", "--publish-url", to, "--steps", "7"
        )
        assert answer.exit_code == 0, answer.stderr
        shutil.rmtree(fake_platform / "jobs")
        return answer.stdout.strip()

    return make


def seal(folder, step: int, run: str):
    at = folder / f"{step:06}"
    at.mkdir(parents=True)
    (at / "weights").write_text(str(step))
    checkpoint.seal_checkpoint(at, step=step, run=run, job="0" * 64)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_run_whose_folder_is_gone_is_resumed_from_a_published_copy(robotrain, published_run, tmp_path, form):
    run = published_run(form.format(tmp_path / "mirror"))
    assert robotrain("resume", run).exit_code == 2
    for step, whose in ((2, run), (4, run), (6, run), (8, "another-1")):
        seal(tmp_path / "mirror", step, whose)
    (tmp_path / "mirror/000006/weights").write_text("torn")
    answer = robotrain("resume", run, "--steps", "20", "--no-pin")
    assert answer.exit_code == 0, answer.stderr
    assert f"fake knows no {run}" in answer.stderr
    (source,) = [
        source for source in plans.read_stored_plan(answer.stdout.strip()).plan.job.sources if source.role == "resume"
    ]
    assert source.uri == str(tmp_path / "mirror/000004")


def test_resume_from_takes_an_address_like_any_source(robotrain, tmp_path):
    job = ("--platform", "local", "--dataset-path", "/data", "--resume-from", f"{URL}/000200/")
    answer = robotrain("render", *job, "--to", tmp_path / "plan")
    assert answer.exit_code == 0, answer.stderr
    document = json.loads(next((tmp_path / "plan").rglob("job.json")).read_text())
    assert {"role": "resume", "kind": "blob_url", "uri": f"{URL}/000200", "pin": ""} in document["sources"]
    robotrain("render", *job, "--policy-path", "/p").check_problems(2, "sources-conflict")


def test_resume_continues_from_a_given_checkpoint(robotrain, published_run, tmp_path):
    run = published_run(tmp_path / "mirror")
    answer = robotrain("resume", run, "--resume-from", tmp_path / "mirror/000004/", "--no-pin")
    assert answer.exit_code == 0, answer.stderr
    (source,) = [
        source for source in plans.read_stored_plan(answer.stdout.strip()).plan.job.sources if source.role == "resume"
    ]
    assert source.uri == str(tmp_path / "mirror/000004")
    wrong = robotrain("resume", run, "--resume-from", f"{URL}/000004?sig=SECRET")
    wrong.check_problems(2, "source-invalid --resume-from")
    assert "SECRET" not in wrong.stderr
    missing = robotrain("resume", run, "--resume-from", "outputs/nowhere/000004")
    missing.check_problems(2, "source-invalid --resume-from outputs/nowhere/000004")


@pytest.mark.parametrize(("platform", "foreign"), [("local", "azure"), ("osmo", "azureml:"), ("azureml", "azure://")])
def test_a_checkpoint_folder_that_does_not_exist_is_reported(robotrain, platform, foreign):
    folder = "outputs/nowhere/checkpoints/last"
    answer = robotrain("explain", "--platform", platform, "--json", "-d", "lab/cups", "--resume-from", folder)
    (problem,) = (problem for problem in answer.json["problems"] if problem["where"] == "--resume-from")
    assert (problem["code"], problem["given"]) == ("source-invalid", folder)
    ways = [way["text"].removeprefix("--resume-from ") for way in problem["instead"]]
    assert "FOLDER" in ways
    assert not any(way.startswith(foreign) for way in ways), ways


def test_a_misspelt_checkpoint_folder_is_answered_with_the_one_that_exists(robotrain):
    Path("outputs/first/checkpoints/last").mkdir(parents=True)
    job = ("explain", "--platform", "local", "--dataset-repo-id", "lab/cups", "--resume-from")
    answer = robotrain(*job, "outputs/frist/checkpoints/last")
    answer.check_problems(2, "source-invalid --resume-from outputs/frist/checkpoints/last")
