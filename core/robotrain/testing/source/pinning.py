"""What a moving name meant when a job was sent: the same content has the same pin, other content has another."""

import pytest
from robotrain_runtime.half import Place

from robotrain.source import Pinning, SourceKind
from robotrain.testing.source.base import BASE
from robotrain.testing.source.fetching import Fetching, bring, content, named
from robotrain.testing.source.served import Served


class Pinned(Fetching):
    """Of a kind that declares how it is pinned."""

    @pytest.fixture
    def pinning(self, declared: SourceKind) -> Pinning:
        """How it is pinned."""
        if declared.pinning is None:
            pytest.skip("its names mean the same for ever: it declares no pinning")
        return declared.pinning

    def test_the_same_content_has_the_same_pin(
        self, declared: SourceKind, pinning: Pinning, served: Served, place: Place
    ) -> None:
        """A pin is a digest or a commit, not a moment; what has it is there, and is fetched by it."""
        source = declared.parse(served.text, BASE)
        pin = pinning.now(source, served.role)
        assert pin
        assert pinning.now(source, served.role) == pin
        assert pinning.gone(source, served.role, pin) == ""
        assert list(pinning.lacks(source, served.role, [*served.files])) == []
        assert content(bring(declared, named(declared, served, served.text, pin), place)) == served.files

    def test_other_content_has_another_pin_and_is_never_brought_for_the_first(
        self, declared: SourceKind, pinning: Pinning, served: Served, place: Place
    ) -> None:
        """A job that was pinned trains on what it was pinned to, or says that it is not there any more."""
        if served.change is None:
            pytest.skip("`served` has no `change`")
        source = declared.parse(served.text, BASE)
        pin = pinning.now(source, served.role)
        served.change()
        assert pinning.now(source, served.role) != pin
        try:
            brought = bring(declared, named(declared, served, served.text, pin), place)
        except OSError:
            return
        assert content(brought) == served.files
