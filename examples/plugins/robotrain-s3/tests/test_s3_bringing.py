"""A source of this kind in the container: looked at, fetched, taken up again, or refused in a sentence."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.plugin import ContainerContext, Download, JobFailed, JobSource, SurveyedSource

from robotrain_s3.delivery import deliver

pytestmark = pytest.mark.slow

FILES = {"meta/info.json": b"{}", "data/part one.bin": bytes(range(256)) * 100, "empty.txt": b"", "folder/": b""}
LARGE = {f"data/{number}.bin": bytes([number]) * 3_000 for number in range(12)}


@contextmanager
def brought(cache: Path, *urls: str, pin: str = "", **place: Any) -> Iterator[Any]:
    sources = [JobSource(role="dataset", kind="s3", uri=url, pin=pin) for url in urls]
    at = ContainerContext(cache=cache, python=Path(sys.executable), **place)
    with closing(deliver(sources, {}, at, {"dataset": ["meta/info.json"]})) as delivery:
        yield delivery


def look(cache: Path, url: str, **more: Any) -> SurveyedSource:
    with brought(cache, url, **more) as delivery:
        return delivery.survey()[0]


def fetch(cache: Path, *urls: str, pin: str = "") -> list[Path]:
    with brought(cache, *urls, pin=pin) as delivery:
        delivery.survey()
        return list(delivery.fetch(lambda far: None).values())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_names_that_look_like_files_on_their_way_are_names_as_others(signed_in, tmp_path):
    files = {"a": b"A" * 16, "a.incoming": b"BBBB", "x" * 255: b"x", "incoming/files": b"C", "data/" + "ü" * 127: b"u"}
    signed_in.put("names", files)
    (folder,) = fetch(tmp_path, signed_in.url("names"))
    assert contents(folder) == files
    assert {path.name for path in folder.parent.iterdir()} == {"files", "fetched.json"}


def test_what_was_looked_at_is_fetched_byte_by_byte(signed_in, tmp_path):
    signed_in.put("whole", FILES)
    signed_in.put("whole-not", {"other.txt": b"beside it"})
    told: list[Download] = []
    with brought(tmp_path, signed_in.url("whole")) as delivery:
        (found,) = delivery.survey()
        assert found.description_folder is not None
        assert contents(found.description_folder) == {"meta/info.json": b"{}"}
        (folder,) = delivery.fetch(told.append).values()
    assert contents(folder) == {name: content for name, content in FILES.items() if not name.endswith("/")}
    assert (found.files, found.size, found.missing) == (3, 25602, 25602)
    assert (told[0].done, told[-1].done) == (0, 25602)
    assert look(tmp_path, signed_in.url("whole")).missing == 0


def test_several_sources_keep_their_order_and_equal_ones_lie_once(signed_in, tmp_path):
    for name in ("left", "right"):
        signed_in.put(f"several/{name}", {"meta/info.json": name.encode()})
    signed_in.put("several/copy", {"meta/info.json": b"left"})
    left, right, copy = fetch(tmp_path, *(signed_in.url(f"several/{name}") for name in ("left", "right", "copy")))
    assert [(folder / "meta/info.json").read_bytes() for folder in (left, right)] == [b"left", b"right"]
    assert copy == left


def test_what_is_there_is_not_fetched_again(signed_in, tmp_path):
    signed_in.put("again", FILES)
    first = fetch(tmp_path, signed_in.url("again"))
    signed_in.got.clear()
    assert fetch(tmp_path, signed_in.url("again")) == first
    assert not [path for path in signed_in.got if not path.endswith("meta/info.json")]


def test_a_fetch_that_was_cut_off_leaves_no_folder_and_goes_on_where_it_was(signed_in, tmp_path):
    signed_in.put("cut", LARGE)
    last = "/robots/cut/data/11.bin"
    release = signed_in.held[last] = threading.Event()
    with brought(tmp_path, signed_in.url("cut")) as delivery:
        whole = delivery.survey()[0].missing
        closing_it = threading.Thread(target=close_after, args=(delivery, tmp_path, len(LARGE) - 1))
        closing_it.start()
        with pytest.raises(JobFailed, match="ended before it answered"):
            delivery.fetch(lambda far: None)
        closing_it.join()
    assert not list(tmp_path.rglob("fetched.json"))
    release.set()
    assert (whole, look(tmp_path, signed_in.url("cut")).missing) == (36_000, 3_000)
    signed_in.got.clear()
    (folder,) = fetch(tmp_path, signed_in.url("cut"))
    assert signed_in.got == [last]
    assert contents(folder) == LARGE


def close_after(delivery: Any, cache: Path, count: int) -> None:
    """Close it once so many files are whole."""
    while len(list(cache.rglob("data/*.bin"))) < count:
        time.sleep(0.01)
    delivery.close()


def test_bytes_that_changed_on_the_way_are_not_taken(signed_in, tmp_path):
    signed_in.put("spoilt", {"data/one.bin": bytes(1000)})
    signed_in.spoilt["/robots/spoilt/data/one.bin"] = b"1" * 1000
    with pytest.raises(JobFailed, match=r"what came of data/one.bin is not what .* lists"):
        fetch(tmp_path, signed_in.url("spoilt"))
    signed_in.spoilt.clear()
    (folder,) = fetch(tmp_path, signed_in.url("spoilt"))
    assert contents(folder) == {"data/one.bin": bytes(1000)}


def test_a_file_that_was_damaged_is_fetched_again(signed_in, tmp_path):
    signed_in.put("damaged", FILES)
    (folder,) = fetch(tmp_path, signed_in.url("damaged"))
    (folder / "meta/info.json").write_text("something else")
    (again,) = fetch(tmp_path, signed_in.url("damaged"))
    assert (again / "meta/info.json").read_bytes() == b"{}"


def test_what_is_pinned_is_what_comes(signed_in, tmp_path):
    signed_in.put("pinned", FILES)
    pin = look(tmp_path, signed_in.url("pinned")).digest
    (folder,) = fetch(tmp_path, signed_in.url("pinned"), pin=pin)
    assert (folder / "meta/info.json").read_bytes() == b"{}"
    signed_in.put("pinned", {"meta/info.json": b"{1}"})
    found = look(tmp_path, signed_in.url("pinned"), pin=pin)
    assert "is not what lay there when it was pinned\nrobotrain resubmit RUN --repin" in found.problems[0]
    assert found.fault == "data"
    with pytest.raises(JobFailed, match="when it was pinned"):
        fetch(tmp_path, signed_in.url("pinned"), pin=pin)


@pytest.mark.parametrize(
    ("path", "told", "way"),
    [
        ("robots/nothing/pushd", "nothing lies below", "/robots/nothing/pusht"),
        ("no-such-bucket/pusht", "has no bucket no-such-bucket", "aws s3 ls --endpoint-url"),
    ],
)
def test_what_is_not_there_is_told_with_a_way_out(signed_in, tmp_path, path, told, way):
    signed_in.put("nothing/pusht", FILES)
    found = look(tmp_path, f"s3+http://{signed_in.host}/{path}")
    sentence, _, ways = found.problems[0].partition("\n")
    assert told in sentence
    assert way in ways


def test_who_may_not_read_it_is_told_what_to_allow(signed_in, tmp_path, monkeypatch):
    signed_in.put("kept", FILES)
    for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), signed_in.keys["stranger"], strict=True):
        monkeypatch.setenv(name, value)
    found = look(tmp_path, signed_in.url("kept"))
    assert "may not read" in found.problems[0]
    assert "\nallow it s3:ListBucket" in found.problems[0]
    assert signed_in.keys["stranger"][0] not in str(found)


def test_a_wrong_secret_and_none_are_told_apart(signed_in, tmp_path, monkeypatch):
    signed_in.put("kept", FILES)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    wrong = look(tmp_path, signed_in.url("kept")).problems[0]
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    none = look(tmp_path, signed_in.url("kept")).problems[0]
    assert "does not accept the AWS credentials" in wrong
    assert "there are no AWS credentials" in none
    assert "\nset AWS_ACCESS_KEY_ID" in none


def test_a_file_with_keys_that_the_platform_names_is_used(signed_in, tmp_path, monkeypatch):
    signed_in.put("kept", FILES)
    key, secret = signed_in.keys["reader"]
    file = tmp_path / "keys"
    file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert look(tmp_path, signed_in.url("kept"), credentials={"s3": str(file)}).problems == ()


def test_a_store_that_is_away_is_the_networks_fault(no_keys, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "one")
    found = look(tmp_path, "s3+http://127.0.0.1:9/robots/pusht")
    assert "cannot be reached" in found.problems[0]
    assert found.fault == "network"


@pytest.mark.parametrize("name", ["a/../../b", "a//b", "x" * 300])
def test_a_key_that_is_no_file_is_refused(signed_in, tmp_path, name):
    prefix = f"odd-{len(name)}"
    signed_in.put(prefix, {name: b"x"})
    assert "is none that a file of this machine can have" in look(tmp_path, signed_in.url(prefix)).problems[0]


def test_a_file_that_is_a_folder_too_is_refused(signed_in, tmp_path):
    signed_in.put("clash", {"data": b"x", "data/one": b"y"})
    assert "is an object and, with 'data/one', a folder too" in look(tmp_path, signed_in.url("clash")).problems[0]
