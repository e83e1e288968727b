"""What lies in the cache or is on its way there, after kills, power cuts and damage: believed only where it is so."""

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer import boot, check, folding, landed, look
from robotrain_sources.transfer.catalog import Catalog
from robotrain_sources.transfer.landed import Hold
from robotrain_sources.transfer.origin import Entry
from robotrain_sources.transfer.part import Part

BODY = {"a.bin": b"a" * 100, "b/c.bin": b"c" * 50}


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
def part(tmp_path):
    """`part()` begins to fetch two files, or goes on; etag: the version that is listed today."""
    begun: list[Part] = []

    def part(etag: str = "new", entries=None) -> Part:
        listing = tmp_path / "listed.sqlite"
        listing.unlink(missing_ok=True)
        catalog = Catalog(listing)
        catalog.fill(entries or [Entry(name=name, size=len(body), version=etag) for name, body in BODY.items()])
        catalog.close()
        begun.append(Part("the data", "", None, tmp_path / "data", listing))
        return begun[-1]

    yield part
    for one in begun:
        one.keep()


def fetched(part: Part) -> Part:
    for entry in list(part.catalog.left()):
        part.catalog.note([(entry.name, check.whole(part.files / entry.name, entry, BODY[entry.name]))])
    return part


@pytest.fixture
def data(part, pool, tmp_path) -> Path:
    """A folder that was landed."""
    begun = part()
    begun.believe(pool)
    fetched(begun).land()
    return tmp_path / "data"


def test_a_file_that_became_another_meanwhile_does_not_land(part, pool, tmp_path):
    begun = part()
    begun.believe(pool)
    fetched(begun)
    os.truncate(begun.files / "a.bin", 1)
    with pytest.raises(Refused, match=r"a.bin is not any more what was written there") as refused:
        begun.land()
    assert refused.value.fault == "data"
    assert not (tmp_path / "data").exists()


def test_killed_while_it_takes_back_what_a_power_cut_may_have_taken_it_takes_it_back_the_next_time(part, pool):
    first = part()
    first.believe(pool)
    (first.files / "a.bin").write_bytes(bytes(100))
    first.catalog.note([], [("a.bin", 0, 40)])
    first.keep()
    boot_note(first.files.parent, "another-start")
    second = part()
    second.catalog.in_parts = killed
    with pytest.raises(KeyboardInterrupt):
        second.believe(pool)
    second.keep()
    third = part()
    third.believe(pool)
    assert third.catalog.ranges("a.bin") == []


def test_a_journal_that_a_kill_left_is_not_rolled_into_the_next_listing(part, pool):
    def listed(etag: str) -> list[Entry]:
        return [Entry(name=f"{number:05}", size=number, version=f"{etag}{number}") for number in range(3000)]

    first = part(entries=listed("old"))
    first.keep()
    left = first.files.parent / "listing.sqlite"
    shutil.copyfile(first.catalog.path, left)
    killed = sqlite3.connect(left)
    killed.executescript("pragma synchronous = off; pragma cache_size = 5; begin; update files set own = 'x'")
    journal = left.with_name("listing.sqlite-journal")
    kept = journal.read_bytes()
    killed.rollback()
    killed.close()
    journal.write_bytes(kept)
    second = part(entries=listed("new"))
    assert {entry.version[:3] for entry in second.catalog.left()} == {"new"}


@pytest.mark.parametrize("folds", [True, False])
def test_a_listing_is_looked_at_as_the_disk_of_the_cache_takes_its_names(tmp_path, monkeypatch, folds):
    monkeypatch.setattr(folding, "folds", lambda folder: folds and folder == tmp_path)
    origin = SimpleNamespace(entries=lambda: [Entry(name=name, size=1, version="1") for name in ("A", "a")])
    if folds:
        with pytest.raises(Refused, match="'A' and 'a' have one name on the disk of the cache"):
            look.write(origin, tmp_path / "listing.sqlite")
    else:
        assert look.write(origin, tmp_path / "listing.sqlite")[0].files == 2


def test_of_a_damaged_folder_only_what_is_not_whole_is_missing(data):
    os.truncate(data / "files/a.bin", 1)
    assert look._arrived(data) == 50


def test_the_bytes_are_not_read_by_a_look(data, pool, monkeypatch):
    boot_note(data, "another-start")
    monkeypatch.setattr(check, "again", killed)
    assert landed.find(data) == data / "files"
    monkeypatch.undo()
    assert landed.survived(data, pool)
    assert boot.is_noted(data)


def test_what_describes_the_data_is_read_in_a_look_when_a_power_cut_may_have_taken_it(data):
    (data / "files/a.bin").write_bytes(bytes(100))
    boot_note(data, "another-start")
    assert not landed.describes(data, ["a.bin"])
    assert landed.describes(data, ["b/c.bin", "none"])


def test_what_is_pinned_is_not_found_where_it_is_on_its_way_or_being_removed(data):
    head = data / "manifest.jsonl"
    head.write_text(head.read_text().replace('"pin": ""', '"pin": "p"'))
    assert landed.pinned(data.parent, "the data", "p") == data
    for other in ("data.part", ".data.0a1b2c3d"):
        data = data.rename(data.with_name(other))
        assert landed.pinned(data.parent, "the data", "p") is None


def test_damaged_data_that_others_use_is_refused_and_not_waited_for_for_ever(data, pool, monkeypatch):
    monkeypatch.setattr(landed, "WAITS", 0.001)
    user = Hold(data, lambda: None)
    assert user.found(lambda folder: True) == data / "files"
    user.share()
    os.truncate(data / "files/a.bin", 1)
    other = Hold(data, lambda: None)
    with pytest.raises(Refused, match="damaged, and other runs are using it: start the run again when") as refused:
        other.found(lambda folder: True)
    assert refused.value.fault == "data"
    user.close()
    assert other.found(lambda folder: True) is None
    other.close()


def test_data_of_before_a_start_that_others_use_is_read_once_and_used(data, monkeypatch):
    monkeypatch.setattr(landed, "WAITS", 0.001)
    user, other = Hold(data, lambda: None), Hold(data, lambda: None)
    assert user.found(lambda folder: True)
    user.share()
    boot_note(data, "another-machine")
    asked: list[Path] = []
    assert other.found(lambda folder: not asked.append(folder)) == data / "files"
    assert asked == [data]
    user.close()
    other.close()


def boot_note(folder: Path, start: str) -> None:
    (folder / boot.NOTE).write_text(f"{start}\n")


def killed(*given: object) -> None:
    raise KeyboardInterrupt
