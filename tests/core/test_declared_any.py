"""`ANY` in capabilities stands for every name that is not declared, also of features and pairs."""

import pytest
from robotrain.model.capabilities import Capabilities
from robotrain.model.support import ANY, YES, no

ACCOUNT = "https://plain.blob.core.windows.net"
BLOBS = ("--blob-url", f"{ACCOUNT}/c/one", "--blob-url", f"{ACCOUNT}/c/two")
BESIDE = (*BLOBS[:2], "--dataset-path", "x")
TAKEN = {("dataset", ANY): YES, ("dataset", "local_path"): YES}
ALONE = no("A rover carries one stone.")


@pytest.fixture
def rendered(robotrain, plain_platform, monkeypatch):
    def rendered(*words: str, **declared):
        import plain_plugin

        whole = Capabilities(**{"sources": TAKEN, "workloads": {ANY: YES}, "features": {ANY: YES}, **declared})
        monkeypatch.setattr(plain_plugin.PlainPlatform, "capabilities", whole)
        return robotrain("render", "--platform", "plain", *words)

    return rendered


@pytest.mark.parametrize("pair", [("blob_url", ANY), (ANY, "blob_url"), (ANY, ANY)])
@pytest.mark.parametrize("words", [BLOBS, BESIDE])
def test_a_pair_with_any(rendered, pair, words):
    answer = rendered(*words, combinations={pair: ALONE})
    assert answer.exit_code == 3
    assert "A rover carries one stone." in answer.stderr


def test_a_pair_that_is_named_comes_before_any(rendered):
    named = {(ANY, ANY): ALONE, ("local_path", "blob_url"): YES}
    assert rendered(*BESIDE, combinations=named).exit_code == 0


def test_features_that_are_not_named(rendered):
    words = ("--dataset-path", "x", "--num-gpus", "2")
    assert rendered(*words).exit_code == 0
    answer = rendered(*words, features={ANY: YES, "multi_gpu": ALONE})
    assert answer.exit_code == 3
    assert "A rover carries one stone." in answer.stderr


def test_any_is_no_row_of_its_own(robotrain, rendered):
    rendered("--dataset-path", "x")
    rows = robotrain("platforms", "--json").json["rows"]
    assert ANY not in [row.get("feature") for row in rows]
