"""A standard test of a kit is there for every subclass, or the subclass says why it fails."""

import pytest
from robotrain.testing import SourceKit, WorkloadKit
from robotrain.testing.kit_base import KitBase, find_replaced_names

TEST = "test_bad_text_is_rejected"


def passes(self) -> None:
    pass


def marked(mark: pytest.MarkDecorator) -> object:
    def own(self) -> None:
        pass

    return mark(own)


def of_kit(*bases: type, **members: object) -> type:
    """A subclass of SourceKit, as a class statement makes it."""
    return type("TestMine", (*bases, SourceKit), {"kind": "mine", **members})


def test_a_subclass_says_what_is_its_own_and_adds_what_it_likes():
    mine = of_kit(good={}, bad=[], served=pytest.fixture(lambda self: None), test_of_mine=passes, _helper=1)
    assert list(find_replaced_names(mine)) == []
    assert {name for name in dir(SourceKit) if name.startswith("test_")} < set(dir(mine))


@pytest.mark.parametrize("instead", [passes, None, marked(pytest.mark.skip(reason="no")), marked(pytest.mark.xfail())])
def test_a_test_in_the_place_of_a_standard_one_is_refused_by_its_name(instead):
    with pytest.raises(TypeError, match=rf"TestMine\.{TEST} takes the place of a standard test.*xfail\(reason=…\)"):
        of_kit(**{TEST: instead})


@pytest.mark.parametrize("strict", [True, False])
def test_one_that_is_marked_as_failing_with_a_reason_is_taken(strict):
    own = marked(pytest.mark.xfail(reason="this service has no bad names", strict=strict))
    assert list(find_replaced_names(of_kit(**{TEST: own}))) == []


def test_every_test_that_is_left_out_is_named():
    with pytest.raises(TypeError) as caught:
        of_kit(**{TEST: None, "test_source_is_an_immutable_value": passes})
    assert {TEST, "test_source_is_an_immutable_value"} <= set(str(caught.value).replace(".", " ").split())


def test_another_base_drops_nothing_either():
    class Softer:
        test_source_is_an_immutable_value = None

    with pytest.raises(TypeError, match=r"Softer\.test_source_is_an_immutable_value"):
        of_kit(Softer)


@pytest.mark.parametrize("name", ["declaration", "kit_folders", "yours"])
def test_what_tests_are_made_of_stays_the_kits(name):
    """Whoever narrows the texts, the fixtures or the parameters of a test has dropped a part of it."""
    with pytest.raises(TypeError, match=rf"TestMine\.{name} takes the place of the kit's own; yours to define: .*kind"):
        of_kit(**{name: lambda self, metafunc=None: None})


def test_a_base_of_ones_own_may_be_as_free_as_one_likes():
    base = of_kit(test_of_mine=passes, bad=["x"])
    assert list(find_replaced_names(type("TestOther", (base,), {"test_of_mine": None, "bad": ["y"]}))) == []


@pytest.mark.parametrize("kit", [SourceKit, WorkloadKit])
def test_every_kit_and_each_of_its_themes_stands_on_the_rule(kit):
    assert issubclass(kit, KitBase)
    themes = [base for base in kit.__mro__ if any(name.startswith("test") for name in vars(base))]
    assert all(issubclass(theme, KitBase) for theme in themes)
    assert all(getattr(kit, name).__doc__ for name in dir(kit) if name.startswith("test"))
