"""Preflight of blobs with the sign-in of this machine: problems are warnings."""

import pytest
from azure_stand_in.fixtures import azure, azure_session  # noqa: F401

pytestmark = pytest.mark.slow

JOB = ("submit", "--dry-run", "--platform", "osmo", "--pool", "default", "--tracking-uri", "none", "--no-pin")


@pytest.fixture
def dry_run(osmo, azure, robotrain, monkeypatch):  # noqa: F811
    """The output of a dry run; URLs of the stand-in may be given as `CONTAINER/PREFIX`."""
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)

    def look(*words: str) -> str:
        urls = [azure.url(*word.split("/")) if "/" in word else word for word in words]
        answer = robotrain(*JOB, *urls)
        assert answer.exit_code == 0, answer.stderr
        return answer.stderr

    return look


def test_one_dataset_and_a_policy_that_cannot_be_read_are_told(dry_run):
    said = dry_run("--blob-url", "nowhere/set", "--policy-url", "nowhere/policy")
    assert said.count("[source-unreachable]") == 2
    assert "has no container nowhere" in said
    assert "The job checks again with its own identity." in said


def test_a_place_that_cannot_be_written_to_is_told(dry_run, azure, pusht):  # noqa: F811
    azure.blobs.put("seen", {"set/meta/info.json": (pusht / "meta/info.json").read_bytes()})
    said = dry_run("--blob-url", "seen/set", "--publish-url", "nowhere/out")
    assert "[source-unreachable]" not in said
    assert "[publish-unwritable]" in said


def test_whoever_is_not_signed_in_here_is_told_how_to_be_and_not_how_the_job_is(dry_run, monkeypatch):
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)
    said = dry_run("--blob-url", "seen/set")
    assert "`az login` lets this machine" in said
    assert "--blob-credential" not in said


def test_of_many_that_cannot_be_read_the_first_are_told(dry_run):
    said = dry_run(*(word for day in range(6) for word in ("--blob-url", f"nowhere/day{day}")))
    assert said.count("[source-unreachable]") == 4
    assert "3 more sources cannot be checked" in said
