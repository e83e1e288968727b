"""What a listing means as files: folders that an account lists too, what tools left behind, and what was meant."""

import pytest
from robotrain_sources.blob_url import listing
from robotrain_sources.blob_url.listing import Blob
from robotrain_sources.huggingface import choice


def blob(name: str, size: int = 1, **more) -> Blob:
    return Blob(name=name, size=size, etag=f"of {name}", **more)


def files(*blobs: Blob) -> list[str]:
    return [found.name for found in listing.files(blobs)]


@pytest.mark.parametrize(
    "marker",
    [
        blob("sub", 0, folder=True),  # as an account with a hierarchical namespace lists a folder
        blob("sub/", 0),  # as the portal makes one
        blob("sub", 0),  # as older tools make one
        blob("empty", 0, folder=True),
    ],
)
def test_h1_16_a_marker_of_a_folder_is_no_file(marker):
    assert files(marker, blob("sub/weights")) == ["sub/weights"]


def test_h1_16_a_file_is_no_marker():
    assert files(blob("empty.txt", 0), blob("sub", 3), blob("sub/weights")) == ["empty.txt", "sub", "sub/weights"]


def test_what_a_download_tool_left_is_not_fetched():
    kept = ["cache/x", "model.safetensors", "my.cache"]
    assert files(*map(blob, [".cache/huggingface/x.lock", "a/.cache/y", *kept])) == kept


def test_a_listing_is_known_by_what_was_written():
    before = listing.digest("p", [blob("a"), blob("b")])
    assert before == listing.digest("p", [blob("b"), blob("a")])
    assert before != listing.digest("p", [blob("a")])
    assert before != listing.digest("p", [blob("a"), Blob(name="b", size=1, etag="written again")])
    assert before != listing.digest("q", [blob("a"), blob("b")])


@pytest.mark.parametrize(
    ("wanted", "there", "near"),
    [
        ("runs/act", ["runs/act-2", "runs/diffusion", "x"], ["runs/act-2"]),
        ("zzz", ["d", "a", "c", "b"], ["d", "a", "c"]),
        ("zzz", [], []),
    ],
)
def test_what_was_probably_meant(wanted, there, near):
    assert listing.near(wanted, there) == near


def test_weights_that_could_run_code_stay_where_safe_ones_are_to_be_had():
    pickled = ["a.bin", "b.ckpt", "optimizer.pt", "x.pkl", "y.pickle", "z.pth"]
    assert choice.wanted([*pickled, "config.json", "model.safetensors"]) == ["config.json", "model.safetensors"]
    assert choice.wanted([*pickled, "config.json"]) == sorted([*pickled, "config.json"])
    assert choice.wanted([".cache/x", ".gitattributes"]) == [".gitattributes"]
