"""What every kit stands on: a standard test is there for each subclass, or the subclass says why it would fail."""

from collections.abc import Iterator
from types import FunctionType
from typing import Any, ClassVar

import pytest

from robotrain.testing.left_out import KITS, watch

MAKING = ("__init__", "__new__", "__init_subclass__")
"""With one of these pytest would collect nothing, or this module would not be asked."""
HIDING = ("skip", "skipif", "xfail")
"""Marks that, on a whole class or module, take every test out at once."""
WAY = "call the kit's test in one of your own that is marked @pytest.mark.xfail(reason=…), with the reason"

_marks: dict[object, tuple[pytest.Mark, ...]] = {}


class Dropped(TypeError):
    """A subclass of a kit that leaves standard tests out; names each."""


class Standard:
    """The base of all kits: a class of `robotrain.testing` whose `test_…` methods are standard tests.

    A subclass that replaces a standard test, sets it to None, marks it or changes what it is parametrized with is
    refused where it is defined, and again where pytest collects it; only a test of its own in that place that is marked
    `xfail` with a reason is taken. yours: the names of a kit that a subclass is to define; the kit's others stay.
    """

    yours: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if _is_kit(cls):
            _marks.update((value, _marks_of(value)) for name, value in vars(cls).items() if _is_test(name))
        else:
            _refuse(cls)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Asked by pytest for each test: what was changed after the class was defined is found here."""
        _refuse(type(self))
        _refuse_marked_from_outside(metafunc.definition)
        watch(metafunc.config, WAY)
        self.parametrize(metafunc)

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Where a kit makes one test of each case; `metafunc.parametrize` as pytest has it."""

    def test_no_standard_test_is_dropped(self) -> None:
        """Every standard test runs, or is marked as failing, with a reason: a kit promises only what it tries."""
        _refuse(type(self))


def dropped(subclass: type[Standard]) -> list[str]:
    """What is missing of the kits that a class is made from: a sentence each."""
    return [*_replaced(subclass), *_hidden(subclass), *_marked(subclass)]


def _refuse(subclass: type[Standard]) -> None:
    if found := dropped(subclass):
        raise Dropped("\n".join(found))


def _refuse_marked_from_outside(item: pytest.Item) -> None:
    """By the `pytestmark` of a module."""
    for node, mark in item.iter_markers_with_node():
        if mark.name in HIDING and isinstance(node, (pytest.Module, pytest.Package)):
            raise Dropped(f"pytest.mark.{mark.name} on {node.name} takes every standard test out: {WAY}.")


def _replaced(subclass: type[Standard]) -> Iterator[str]:
    """The kit's names that something else stands for, wherever among the bases it came from."""
    kits = [base for base in subclass.__mro__ if _is_kit(base)]
    yours = tuple(name for kit in kits for name in vars(kit).get("yours", ()))
    for name in dict.fromkeys([*MAKING, *(name for kit in kits for name in vars(kit))]):
        owner = next(base for base in subclass.__mro__ if name in vars(base))
        if _is_kit(owner) or owner is object or name in yours or (_is_special(name) and name not in MAKING):
            continue
        if not _is_test(name):
            yield f"{owner.__name__}.{name} takes the place of the kit's own; yours to define: {', '.join(yours)}."
        elif not _expected_to_fail(vars(owner)[name]):
            yield f"{owner.__name__}.{name} takes the place of a standard test: leave it, or {WAY}."


def _hidden(subclass: type[Standard]) -> Iterator[str]:
    for base in subclass.__mro__:
        for mark in _marks_of(base):
            if mark.name in HIDING:
                yield f"@pytest.mark.{mark.name} on {base.__name__} takes every standard test out: {WAY}."


def _marked(subclass: type[Standard]) -> Iterator[str]:
    """Standard tests that were marked in place: they are shared by every class that is made from the kit."""
    for name in (name for kit in subclass.__mro__ if _is_kit(kit) for name in vars(kit) if _is_test(name)):
        test = getattr(subclass, name)
        if isinstance(test, FunctionType) and test in _marks and _marks_of(test) != _marks[test]:
            yield f"{subclass.__name__}.{name} is the kit's own test, marked for everybody: {WAY}."


def _expected_to_fail(test: object) -> bool:
    """By a mark that always counts: what fails under a condition may pass for another cause without it."""
    fails = [mark for mark in _marks_of(test) if mark.name == "xfail"]
    plain = [mark for mark in fails if not mark.args and "condition" not in mark.kwargs]
    return any(str(mark.kwargs.get("reason") or "").strip() for mark in plain)


def _marks_of(marked: object) -> tuple[pytest.Mark, ...]:
    """Those of a test or of a class itself, as decorators or `pytestmark` put them there."""
    own: Any = getattr(marked, "__dict__", {}).get("pytestmark", ())
    listed = own if isinstance(own, (list, tuple)) else (own,)
    return tuple(one if isinstance(one, pytest.Mark) else one.mark for one in listed)


def _is_kit(one: type) -> bool:
    return f"{one.__module__}.".startswith(f"{KITS}.")


def _is_test(name: str) -> bool:
    return name.startswith("test")


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


_marks.update((value, _marks_of(value)) for name, value in vars(Standard).items() if _is_test(name))
