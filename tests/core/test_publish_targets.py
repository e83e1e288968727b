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


FOLDER_FEATURE = "copy what a run leaves to a folder"
REFUSED = {
    "a kind that the platform does not declare": (URL, 3, "plain does not declare that it can publish to blob URLs"),
    "the platforms that can": (URL, 3, "or    --platform local "),
    "without encryption": ("http://acc.blob.core.windows.net/models/act", 2, f"--publish-url {URL}"),
    "without a prefix": ("https://acc.blob.core.windows.net/models", 2, f"--publish-url {URL[:-3]}PREFIX"),
    "with a signature": (f"{URL}?sv=1&sig=SECRET", 2, "--publish-url contains what looks like a secret"),
    "a token in an unknown address": ("ftp://bucket/prefix?token=SECRET", 2, "secret-in-job"),
    "an address of no kind": ("ftp://b/p", 2, "nothing that is installed can write to the address of --publish-url"),
    "its form": ("ftp://b/p", 2, "--publish-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"),
    "the kinds that can": ("http://x/y", 2, "Supported: blob URLs, Hugging Face repositories, OSMO storage."),
    "a folder": ("/x/checkpoints", 3, f"plain cannot {FOLDER_FEATURE}"),
    "a relative folder": ("./x", 3, f"plain cannot {FOLDER_FEATURE}"),
}


@pytest.mark.parametrize(("text", "exit_code", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_place_that_cannot_be_published_to_is_refused(submit, text, exit_code, sentence):
    answer = submit("--publish-url", text)
    assert (answer.exit_code, sentence in answer.stderr) == (exit_code, True), answer.stderr
    assert "SECRET" not in answer.stderr
    assert "/FOLDER" not in answer.stderr, "the platform copies to no folder"
    assert (FOLDER_FEATURE in answer.stderr) == (exit_code == 3 and "://" not in text)


def test_a_folder_is_suggested_where_the_platform_copies_to_folders(robotrain):
    answer = robotrain(
        "submit", "--platform", "local", "-d", "u/d", "--no-pin", "--dry-run", "--publish-url", "http://x/y"
    )
    assert "--publish-url /FOLDER" in answer.stderr
    relative = robotrain("submit", "--platform", "local", "-d", "u/d", "--no-pin", "--dry-run", "--publish-url", "./x")
    assert "--publish-url /FOLDER/checkpoints" in relative.stderr


def test_the_plugin_of_the_target_is_packed(robotrain, tmp_path):
    plan = tmp_path / "plan"
    job = ("--platform", "local", "--dataset-path", "/data", "--publish-url", f"{URL}/", "--keep", "3")
    answer = robotrain("render", *job, "--to", plan)
    assert answer.exit_code == 0, answer.stderr
    document = json.loads(next(plan.rglob("job.json")).read_text())
    assert document["halves"]["target.blob_url"] == "robotrain_sources.blob_url.target"
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
    assert f"fake knows no {run}: resuming from a published copy" in answer.stderr
    (source,) = [one for one in plans.read_stored_plan(answer.stdout.strip()).plan.job.sources if one.role == "resume"]
    assert source.uri == str(tmp_path / "mirror/000004")


def test_resume_from_takes_an_address_like_any_source(robotrain, tmp_path):
    job = ("--platform", "local", "--dataset-path", "/data", "--resume-from", f"{URL}/000200/")
    answer = robotrain("render", *job, "--to", tmp_path / "plan")
    assert answer.exit_code == 0, answer.stderr
    document = json.loads(next((tmp_path / "plan").rglob("job.json")).read_text())
    assert {"role": "resume", "kind": "blob_url", "uri": f"{URL}/000200", "pin": ""} in document["sources"]
    answer = robotrain("render", *job, "--policy-path", "/p")
    assert "--resume-from" in answer.stderr


def test_resume_continues_from_a_given_checkpoint(robotrain, published_run, tmp_path):
    run = published_run(tmp_path / "mirror")
    answer = robotrain("resume", run, "--resume-from", tmp_path / "mirror/000004/", "--no-pin")
    assert answer.exit_code == 0, answer.stderr
    (source,) = [one for one in plans.read_stored_plan(answer.stdout.strip()).plan.job.sources if one.role == "resume"]
    assert source.uri == str(tmp_path / "mirror/000004")
    wrong = robotrain("resume", run, "--resume-from", f"{URL}/000004?sig=SECRET")
    assert wrong.exit_code == 2
    assert f"--resume-from {URL}/000004" in wrong.stderr
    assert "SECRET" not in wrong.stderr
    missing = robotrain("resume", run, "--resume-from", "outputs/nowhere/000004")
    assert (missing.exit_code, "no such folder" in missing.stderr) == (2, True)


@pytest.mark.parametrize(("platform", "foreign"), [("local", "azure"), ("osmo", "azureml:"), ("azureml", "azure://")])
def test_a_checkpoint_folder_that_does_not_exist_is_reported(robotrain, platform, foreign):
    folder = "outputs/nowhere/checkpoints/last"
    answer = robotrain("explain", "--platform", platform, "--json", "-d", "lab/cups", "--resume-from", folder)
    (problem,) = (one for one in answer.json["problems"] if one["where"] == "--resume-from")
    assert (problem["code"], problem["given"]) == ("local-path-invalid", folder)
    assert "no such folder" in problem["title"]
    ways = [way["text"].removeprefix("--resume-from ") for way in problem["instead"]]
    assert ways[0] == "FOLDER"
    assert not any(way.startswith(foreign) for way in ways), ways


def test_a_misspelt_checkpoint_folder_is_answered_with_the_one_that_exists(robotrain):
    Path("outputs/first/checkpoints/last").mkdir(parents=True)
    job = ("explain", "--platform", "local", "--dataset-repo-id", "lab/cups", "--resume-from")
    answer = robotrain(*job, "outputs/frist/checkpoints/last")
    assert (answer.exit_code, "  use   --resume-from outputs/first/checkpoints/last" in answer.stderr) == (2, True)
