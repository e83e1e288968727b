"""A download says that it begins, now and then how far it is, and that it is done; and first whether it fits."""

import collections
import shutil
import time
from pathlib import Path

import pytest
from robotrain_sources.fetching import progress
from robotrain_sources.fetching.answer import Refused


def test_a_short_one_begins_and_ends(tmp_path, capsys):
    with progress.told("me/act", 2_500_000, tmp_path):
        pass
    first, last = capsys.readouterr().out.splitlines()
    assert first == "fetching me/act: 2.5 MB"
    assert last.startswith("fetched me/act: 2.5 MB in ")


def test_a_long_one_says_how_far_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.01)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/part").write_bytes(b"x" * 1500)
    said = ""
    with progress.told("me/act", 3000, tmp_path):
        while said.count("fetching me/act: 1.5 kB of 3.0 kB\n") < 2:
            time.sleep(0.01)
            said += capsys.readouterr().out


def test_one_that_fails_does_not_say_that_it_is_done(tmp_path, capsys):
    with pytest.raises(ConnectionError), progress.told("me/act", 10, tmp_path):
        raise ConnectionError
    assert "fetched" not in capsys.readouterr().out


def test_one_that_does_not_fit_is_refused_before_it_begins(tmp_path, capsys, monkeypatch):
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(3_000_000_000))
    with (
        pytest.raises(
            Refused, match=r"me/act takes 4\.0 GB, and .* has 3\.0 GB free: make room, or set ROBOTRAIN_CACHE"
        ),
        progress.told("me/act", 4_000_000_000, Path(tmp_path)),
    ):
        pytest.fail("it began")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("count", "read"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_000, "999.0 kB"),
        (10**9, "1.0 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_bytes_as_people_read_them(count, read):
    assert progress.size(count) == read
