"""What OSMO supports and rejects, on the command line."""

import pytest

ON_OSMO = ("--platform", "osmo", "--pool", "gpu-pool", "--tracking-uri", "none")


def refused(robotrain, *words: str) -> str:
    answer = robotrain("render", *ON_OSMO, *words)
    assert answer.exit_code in (2, 3)
    return answer.stderr


def test_refused_publish_url_suggests_one_that_osmo_writes(robotrain) -> None:
    report = refused(robotrain, "-d", "a/b", "--publish-url", "ftp://host/runs")
    assert "--publish-url azure://ACCOUNT/CONTAINER/PREFIX" in report


@pytest.mark.parametrize("words", [(), ("--gpu-platform", "gpu_platform"), ("--gpu-platform", "h100")])
def test_default_platform_of_the_pool_is_noted(robotrain, words):
    answer = robotrain("render", "--platform", "osmo", "--pool", "default", "-d", "a/b", *words)
    assert answer.exit_code == 0, answer.stderr
    noted = [line for line in answer.stderr.splitlines() if "[default-used]" in line]
    assert [line for line in noted if "--gpu-platform" in line] == noted
    assert ("OSMO_PLATFORM=NAME" in answer.stderr, len(noted)) == ((True, 1) if not words else (False, 0))
