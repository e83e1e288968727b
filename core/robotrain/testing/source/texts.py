"""What a text becomes: one typed value with one printed form, and nothing is asked for it."""

import dataclasses
from pathlib import Path

from robotrain.source import Source, SourceKind
from robotrain.testing.source.base import BASE, OfKind, reader
from robotrain.testing.still import still

ELSEWHERE = Path("/elsewhere")


class Texts(OfKind):
    """Of the texts that are good."""

    def test_there_are_texts_to_try(self) -> None:
        """A kit tries what it is given: at least one good text, and one bad one."""
        assert self.good, "say `good`: texts that name a source, each with its printed form"
        assert self.bad, "say `bad`: texts that people type and that name no source"

    def test_a_good_text_has_its_printed_form(self, declared: SourceKind, text: str) -> None:
        """A source is told, kept and compared by its printed form: one source, one form."""
        assert str(declared.parse(text, BASE)) == self.good[text]

    def test_the_printed_form_names_the_same_source(self, declared: SourceKind, text: str) -> None:
        """A job carries the printed form: whoever reads it, wherever they are, must find the same source."""
        source = declared.parse(text, BASE)
        again = reader(declared, source).parse(str(source), ELSEWHERE)
        assert again == source, "the printed form names another source"
        assert str(again) == str(source), "the printed form is not its own printed form"

    def test_parsing_asks_nothing_and_changes_nothing(self, declared: SourceKind, text: str) -> None:
        """Parse is pure and offline: a job can be rendered anywhere, at once, and twice the same."""
        with still():
            first, second = declared.parse(text, BASE), declared.parse(text, BASE)
        assert first == second

    def test_a_source_is_a_value(self, declared: SourceKind) -> None:
        """Jobs are compared, hashed and kept: equal sources are equal objects, of one hash, which nothing changes."""
        made = {str(source): source for source in (declared.parse(text, BASE) for text in self.good)}
        for form, source in made.items():
            again = reader(declared, source).parse(form, BASE)
            assert hash(again) == hash(source), f"{form}: equal sources have different hashes"
            assert not _changes(source), f"{form}: the source can be changed; make it a frozen dataclass"
        assert len(set(made.values())) == len(made), "different printed forms are equal sources"

    def test_what_is_doubtful_is_told_in_sentences(self, declared: SourceKind) -> None:
        """`warn` speaks to people, and never stops a job."""
        for text in self.good:
            source = declared.parse(text, BASE)
            for sentence in reader(declared, source).warn(source):
                assert sentence.endswith("."), f"{sentence!r} is no sentence"


def _changes(source: Source) -> bool:
    """Whether another value can be set in it; a frozen dataclass and a tuple refuse that."""
    parts = [field.name for field in dataclasses.fields(source)] if dataclasses.is_dataclass(source) else ["kind"]
    for name in parts:
        try:
            setattr(source, name, getattr(source, name))
        except (AttributeError, TypeError):
            continue
        return True
    return False
