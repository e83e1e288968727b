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


DAYS = tuple(word for day in range(6) for word in ("--blob-url", f"nowhere/day{day}"))
AGAIN = "The job checks again with its own identity."


@pytest.mark.parametrize(
    ("words", "unreachable", "facts"),
    [
        (("--blob-url", "nowhere/set", "--policy-url", "nowhere/policy"), 2, ["has no container nowhere", AGAIN]),
        (("--blob-url", "seen/set", "--publish-url", "nowhere/out"), 0, ["[publish-unwritable]"]),
        (DAYS, 4, ["3 more sources cannot be checked"]),
    ],
    ids=["sources", "target", "many sources"],
)
def test_blobs_that_this_machine_cannot_reach_are_warnings(dry_run, azure, pusht, words, unreachable, facts):  # noqa: F811
    azure.blobs.put("seen", {"set/meta/info.json": (pusht / "meta/info.json").read_bytes()})
    report = dry_run(*words)
    assert report.count("[source-unreachable]") == unreachable
    assert [fact for fact in facts if fact not in report] == []


def test_missing_sign_in_suggests_az_login_and_no_credential_of_the_job(dry_run, monkeypatch):
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)
    report = dry_run("--blob-url", "seen/set")
    assert "`az login` lets this machine" in report
    assert "--blob-credential" not in report
