"""The container half at work, against a place that really holds the files: all of them come, or a sentence."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

import pytest
from robotrain_runtime.document import Role, Source
from robotrain_runtime.failure import Failed
from robotrain_runtime.half import Place

from robotrain.source import SourceKind
from robotrain.testing.source.base import OfKind
from robotrain.testing.source.served import Served

SENTENCE = 20
"""A sentence has more letters than this: `404` is none."""


class Fetching(OfKind):
    """Of the source that the fixture `served` brings up."""

    yours: ClassVar[tuple[str, ...]] = ("served",)

    @pytest.fixture
    def served(self) -> Served:
        """A place that holds a source; yours to define."""
        pytest.skip("there is no fixture `served`: nothing is fetched")

    @pytest.fixture
    def place(self, served: Served, tmp_path: Path) -> Place:
        """Where the half works."""
        return Place(cache=tmp_path / "cache", python=served.python, **served.place)

    def test_all_of_it_comes_unchanged(self, declared: SourceKind, served: Served, place: Place) -> None:
        """What was recorded is what is trained on: the same files with the same bytes; a second time as well."""
        source = named(declared, served, served.text)
        assert content(bring(declared, source, place)) == served.files
        assert content(bring(declared, source, place)) == served.files, "the second time, from the cache"

    def test_what_is_not_there_is_a_sentence(self, declared: SourceKind, served: Served, place: Place) -> None:
        """A run that cannot read its data ends at once, with words for the person who wrote the name."""
        if not served.missing:
            pytest.skip("`served` has no `missing`")
        with pytest.raises(OSError) as caught:
            bring(declared, named(declared, served, served.missing), place)
        assert len(str(caught.value)) > SENTENCE, f"{str(caught.value)!r} is no sentence"

    def test_what_was_cut_off_is_not_taken_for_whole(
        self, declared: SourceKind, served: Served, place: Place, tmp_path: Path
    ) -> None:
        """A fetch that was interrupted leaves nothing that looks complete, and the next one brings all of it."""
        if served.cut is None:
            pytest.skip("`served` has no `cut`")
        source = named(declared, served, served.text)
        whole = bring(declared, source, replace(place, cache=tmp_path / "other"))
        with served.cut(), pytest.raises(OSError):
            bring(declared, source, place)
        left = place.cache / whole.relative_to(tmp_path / "other")
        assert not left.exists() or content(left) == {}, f"{left} is there, though it is not whole"
        assert content(bring(declared, source, place)) == served.files


def named(kind: SourceKind, served: Served, text: str, pin: str = "") -> Source:
    """The source of a text, as a document holds it."""
    return Source(role=cast(Role, served.role), kind=kind.name, uri=str(kind.parse(text, Path("/"))), pin=pin)


def bring(kind: SourceKind, source: Source, place: Place) -> Path:
    """The folder of a source, looked at and fetched as the runtime does. Raises OSError."""
    half = importlib.import_module(kind.half)
    if carrier := getattr(half, "CARRIER", ""):
        return _delivered(importlib.import_module(carrier), half, source, place)
    for wrong in half.preflight(source, place):
        raise OSError(wrong)
    return cast(Path, half.fetch(source, place))


def content(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _delivered(carrier: object, half: object, source: Source, place: Place) -> Path:
    delivery = carrier.deliver([source], {source.kind: half}, place, {})  # type: ignore[attr-defined]  # by its name
    try:
        for found in delivery.survey():
            if found.wrong:
                raise OSError("; ".join(found.wrong))
        return cast(Path, delivery.fetch(lambda far: None)[source])
    except Failed as failed:
        raise OSError(str(failed)) from failed
    finally:
        delivery.close()
