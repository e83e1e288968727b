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
def render_declared(robotrain, plain_platform, monkeypatch):
    def render_declared(*words: str, **declared):
        import plain_plugin

        whole = Capabilities(**{"sources": TAKEN, "workloads": {ANY: YES}, "features": {ANY: YES}, **declared})
        monkeypatch.setattr(plain_plugin.PlainPlatform, "capabilities", whole)
        return robotrain("render", "--platform", "plain", *words)

    return render_declared


@pytest.mark.parametrize("pair", [("blob_url", ANY), (ANY, "blob_url"), (ANY, ANY)])
@pytest.mark.parametrize("words", [BLOBS, BESIDE])
def test_a_pair_with_any(render_declared, pair, words):
    answer = render_declared(*words, combinations={pair: ALONE})
    assert answer.exit_code == 3
    assert "A rover carries one stone." in answer.stderr


def test_a_pair_that_is_named_comes_before_any(render_declared):
    named = {(ANY, ANY): ALONE, ("local_path", "blob_url"): YES}
    assert render_declared(*BESIDE, combinations=named).exit_code == 0


def test_features_that_are_not_named(render_declared):
    words = ("--dataset-path", "x", "--num-gpus", "2")
    assert render_declared(*words).exit_code == 0
    answer = render_declared(*words, features={ANY: YES, "multi_gpu": ALONE})
    assert answer.exit_code == 3
    assert "A rover carries one stone." in answer.stderr


def test_any_is_no_row_of_its_own(robotrain, render_declared):
    render_declared("--dataset-path", "x")
    rows = robotrain("platforms", "--json").json["rows"]
    assert ANY not in [row.get("feature") for row in rows]
