"""A source of this kind in the container: surveyed, fetched, continued, or rejected with a sentence."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.plugin import ContainerContext, Download, JobFailed, JobSource, SurveyedSource

from robotrain_s3.batch_fetch import deliver

pytestmark = pytest.mark.slow

FILES = {"meta/info.json": b"{}", "data/part one.bin": bytes(range(256)) * 100, "empty.txt": b"", "folder/": b""}
LARGE = {f"data/{number}.bin": bytes([number]) * 3_000 for number in range(12)}


@contextmanager
def open_batch(cache: Path, *urls: str, pin: str = "", **place: Any) -> Iterator[Any]:
    sources = [JobSource(role="dataset", kind="s3", uri=url, pin=pin) for url in urls]
    at = ContainerContext(cache=cache, python=Path(sys.executable), **place)
    with closing(deliver(sources, {}, at, {"dataset": ["meta/info.json"]})) as batch:
        yield batch


def survey(cache: Path, url: str, **more: Any) -> SurveyedSource:
    with open_batch(cache, url, **more) as batch:
        return batch.survey()[0]


def fetch(cache: Path, *urls: str, pin: str = "") -> list[Path]:
    with open_batch(cache, *urls, pin=pin) as batch:
        batch.survey()
        return list(batch.fetch(lambda download: None).values())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_names_like_those_of_incomplete_files_are_fetched(signed_in, tmp_path):
    files = {"a": b"A" * 16, "a.incoming": b"BBBB", "x" * 255: b"x", "incoming/files": b"C", "data/" + "ü" * 127: b"u"}
    signed_in.put("names", files)
    (folder,) = fetch(tmp_path, signed_in.url("names"))
    assert contents(folder) == files
    assert {path.name for path in folder.parent.iterdir()} == {"files", "fetched.json"}


def test_surveyed_source_is_fetched_unchanged(signed_in, tmp_path):
    signed_in.put("whole", FILES)
    signed_in.put("whole-not", {"other.txt": b"beside it"})
    reports: list[Download] = []
    with open_batch(tmp_path, signed_in.url("whole")) as batch:
        (found,) = batch.survey()
        assert found.description_folder is not None
        assert contents(found.description_folder) == {"meta/info.json": b"{}"}
        (folder,) = batch.fetch(reports.append).values()
    assert contents(folder) == {name: content for name, content in FILES.items() if not name.endswith("/")}
    assert (found.files, found.size, found.missing) == (3, 25602, 25602)
    assert (reports[0].done, reports[-1].done) == (0, 25602)
    assert survey(tmp_path, signed_in.url("whole")).missing == 0


def test_several_sources_keep_their_order_and_equal_ones_are_stored_once(signed_in, tmp_path):
    for name in ("left", "right"):
        signed_in.put(f"several/{name}", {"meta/info.json": name.encode()})
    signed_in.put("several/copy", {"meta/info.json": b"left"})
    left, right, copy = fetch(tmp_path, *(signed_in.url(f"several/{name}") for name in ("left", "right", "copy")))
    assert [(folder / "meta/info.json").read_bytes() for folder in (left, right)] == [b"left", b"right"]
    assert copy == left


def test_cached_source_is_not_fetched_again(signed_in, tmp_path):
    signed_in.put("again", FILES)
    first = fetch(tmp_path, signed_in.url("again"))
    signed_in.got.clear()
    assert fetch(tmp_path, signed_in.url("again")) == first
    assert not [path for path in signed_in.got if not path.endswith("meta/info.json")]


def test_interrupted_fetch_leaves_no_folder_and_is_continued(signed_in, tmp_path):
    signed_in.put("cut", LARGE)
    last = "/robots/cut/data/11.bin"
    release = signed_in.held[last] = threading.Event()
    with open_batch(tmp_path, signed_in.url("cut")) as batch:
        whole = batch.survey()[0].missing
        closing_it = threading.Thread(target=close_after, args=(batch, tmp_path, len(LARGE) - 1))
        closing_it.start()
        with pytest.raises(JobFailed, match="ended before it answered"):
            batch.fetch(lambda download: None)
        closing_it.join()
    assert not list(tmp_path.rglob("fetched.json"))
    release.set()
    assert (whole, survey(tmp_path, signed_in.url("cut")).missing) == (36_000, 3_000)
    signed_in.got.clear()
    (folder,) = fetch(tmp_path, signed_in.url("cut"))
    assert signed_in.got == [last]
    assert contents(folder) == LARGE


def close_after(batch: Any, cache: Path, count: int) -> None:
    """Close it once `count` files are complete."""
    while len(list(cache.rglob("data/*.bin"))) < count:
        time.sleep(0.01)
    batch.close()


def test_corrupted_download_is_rejected(signed_in, tmp_path):
    signed_in.put("spoilt", {"data/one.bin": bytes(1000)})
    signed_in.spoilt["/robots/spoilt/data/one.bin"] = b"1" * 1000
    with pytest.raises(JobFailed, match=r"the downloaded data/one.bin differs"):
        fetch(tmp_path, signed_in.url("spoilt"))
    signed_in.spoilt.clear()
    (folder,) = fetch(tmp_path, signed_in.url("spoilt"))
    assert contents(folder) == {"data/one.bin": bytes(1000)}


def test_damaged_file_is_fetched_again(signed_in, tmp_path):
    signed_in.put("damaged", FILES)
    (folder,) = fetch(tmp_path, signed_in.url("damaged"))
    (folder / "meta/info.json").write_text("something else")
    (again,) = fetch(tmp_path, signed_in.url("damaged"))
    assert (again / "meta/info.json").read_bytes() == b"{}"


def test_pinned_content_is_fetched_or_reported_as_changed(signed_in, tmp_path):
    signed_in.put("pinned", FILES)
    pin = survey(tmp_path, signed_in.url("pinned")).digest
    (folder,) = fetch(tmp_path, signed_in.url("pinned"), pin=pin)
    assert (folder / "meta/info.json").read_bytes() == b"{}"
    signed_in.put("pinned", {"meta/info.json": b"{1}"})
    found = survey(tmp_path, signed_in.url("pinned"), pin=pin)
    assert "has changed since it was pinned: robotrain resubmit RUN --repin" in str(found.problems[0])
    assert found.fault == "data"
    with pytest.raises(JobFailed, match="since it was pinned"):
        fetch(tmp_path, signed_in.url("pinned"), pin=pin)


@pytest.mark.parametrize(
    ("path", "sentence", "remedy"),
    [
        ("robots/nothing/pushd", "there is nothing below", "/robots/nothing/pusht"),
        ("no-such-bucket/pusht", "has no bucket no-such-bucket", "aws s3 ls --endpoint-url"),
    ],
)
def test_missing_source_is_reported_with_a_remedy(signed_in, tmp_path, path, sentence, remedy):
    signed_in.put("nothing/pusht", FILES)
    found = survey(tmp_path, f"s3+http://{signed_in.host}/{path}")
    assert sentence in found.problems[0].title
    assert remedy in found.problems[0].ways[0].text


def test_denied_reader_is_told_what_to_allow(signed_in, tmp_path, monkeypatch):
    signed_in.put("kept", FILES)
    for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), signed_in.keys["stranger"], strict=True):
        monkeypatch.setenv(name, value)
    found = survey(tmp_path, signed_in.url("kept"))
    assert "may not read" in found.problems[0].title
    assert "allow it s3:ListBucket" in found.problems[0].ways[0].text
    assert signed_in.keys["stranger"][0] not in str(found)


def test_wrong_credentials_and_none_are_distinguished(signed_in, tmp_path, monkeypatch):
    signed_in.put("kept", FILES)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    wrong = survey(tmp_path, signed_in.url("kept")).problems[0]
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    none = survey(tmp_path, signed_in.url("kept")).problems[0]
    assert "does not accept the AWS credentials" in wrong.title
    assert "there are no AWS credentials" in none.title
    assert "set AWS_ACCESS_KEY_ID" in none.ways[0].text


def test_credentials_file_of_the_platform_is_used(signed_in, tmp_path, monkeypatch):
    signed_in.put("kept", FILES)
    key, secret = signed_in.keys["reader"]
    file = tmp_path / "keys"
    file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert survey(tmp_path, signed_in.url("kept"), credentials={"s3": str(file)}).problems == ()


def test_unreachable_store_is_a_network_fault(no_keys, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "one")
    found = survey(tmp_path, "s3+http://127.0.0.1:9/robots/pusht")
    assert "cannot be reached" in found.problems[0].title
    assert found.fault == "network"


@pytest.mark.parametrize("name", ["a/../../b", "a//b", "x" * 300])
def test_key_that_cannot_be_a_file_name_is_rejected(signed_in, tmp_path, name):
    prefix = f"odd-{len(name)}"
    signed_in.put(prefix, {name: b"x"})
    assert "cannot be a file name" in survey(tmp_path, signed_in.url(prefix)).problems[0].title


def test_object_that_is_also_a_folder_is_rejected(signed_in, tmp_path):
    signed_in.put("clash", {"data": b"x", "data/one": b"y"})
    assert "is both an object and a folder, of 'data/one'" in survey(tmp_path, signed_in.url("clash")).problems[0].title
