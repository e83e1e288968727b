"""The base of all kits: standard tests that a subclass cannot drop or skip unnoticed."""

from collections.abc import Generator, Iterator
from types import FrameType, FunctionType
from typing import Any, ClassVar

import pytest

CONSTRUCTORS = ("__init__", "__new__", "__init_subclass__")
"""With one of these pytest would collect nothing, or this module would not be asked."""
HIDING_MARKS = ("skip", "skipif", "xfail")
"""Marks that, on a whole class or module, take every test out at once."""
REMEDY = "call the kit's test in one of your own that is marked @pytest.mark.xfail(reason=…), with the reason"

_marks: dict[object, tuple[pytest.Mark, ...]] = {}


class DroppedTestError(TypeError):
    """A subclass of a kit that leaves standard tests out; names each."""


class KitBase:
    """The base of all kits: a class of `robotrain.testing` whose `test_…` methods are standard tests.

    A subclass that replaces a standard test, sets it to None, marks it or changes what it is parametrized with is
    refused where it is defined, and again where pytest collects it; only a test of its own in that place that is marked
    `xfail` with a reason is taken. yours: the names of a kit that a subclass is to define; the kit's others stay.
    """

    yours: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if _is_kit(cls):
            _marks.update((value, _own_marks(value)) for name, value in vars(cls).items() if _is_test(name))
        else:
            _refuse_dropped_tests(cls)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Asked by pytest for each test: what was changed after the class was defined is found here."""
        _refuse_dropped_tests(type(self))
        _refuse_module_marks(metafunc.definition)
        register_skip_guard(metafunc.config, REMEDY)
        self.parametrize(metafunc)

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Where a kit makes one test of each case; `metafunc.parametrize` as pytest has it."""

    def test_no_standard_test_is_dropped(self) -> None:
        """Every standard test runs, or is marked as failing, with a reason: a kit promises only what it tries."""
        _refuse_dropped_tests(type(self))


def find_dropped_tests(subclass: type[KitBase]) -> list[str]:
    """What is missing of the kits that a class is made from: a sentence each."""
    return [*_find_replaced(subclass), *_find_hidden(subclass), *_find_marked(subclass)]


def _refuse_dropped_tests(subclass: type[KitBase]) -> None:
    if found := find_dropped_tests(subclass):
        raise DroppedTestError("\n".join(found))


def _refuse_module_marks(item: pytest.Item) -> None:
    """By the `pytestmark` of a module."""
    for node, mark in item.iter_markers_with_node():
        if mark.name in HIDING_MARKS and isinstance(node, (pytest.Module, pytest.Package)):
            raise DroppedTestError(f"pytest.mark.{mark.name} on {node.name} takes every standard test out: {REMEDY}.")


def _find_replaced(subclass: type[KitBase]) -> Iterator[str]:
    """The kit's names that something else stands for, wherever among the bases it came from."""
    kits = [base for base in subclass.__mro__ if _is_kit(base)]
    yours = tuple(name for kit in kits for name in vars(kit).get("yours", ()))
    for name in dict.fromkeys([*CONSTRUCTORS, *(name for kit in kits for name in vars(kit))]):
        owner = next(base for base in subclass.__mro__ if name in vars(base))
        if _is_kit(owner) or owner is object or name in yours or (_is_special(name) and name not in CONSTRUCTORS):
            continue
        if not _is_test(name):
            yield f"{owner.__name__}.{name} takes the place of the kit's own; yours to define: {', '.join(yours)}."
        elif not _is_expected_to_fail(vars(owner)[name]):
            yield f"{owner.__name__}.{name} takes the place of a standard test: leave it, or {REMEDY}."


def _find_hidden(subclass: type[KitBase]) -> Iterator[str]:
    for base in subclass.__mro__:
        for mark in _own_marks(base):
            if mark.name in HIDING_MARKS:
                yield f"@pytest.mark.{mark.name} on {base.__name__} takes every standard test out: {REMEDY}."


def _find_marked(subclass: type[KitBase]) -> Iterator[str]:
    """Standard tests that were marked in place: they are shared by every class that is made from the kit."""
    for name in (name for kit in subclass.__mro__ if _is_kit(kit) for name in vars(kit) if _is_test(name)):
        test = getattr(subclass, name)
        if isinstance(test, FunctionType) and test in _marks and _own_marks(test) != _marks[test]:
            yield f"{subclass.__name__}.{name} is the kit's own test, marked for everybody: {REMEDY}."


def _is_expected_to_fail(test: object) -> bool:
    """By a mark that always counts: what fails under a condition may pass for another cause without it."""
    fails = [mark for mark in _own_marks(test) if mark.name == "xfail"]
    plain = [mark for mark in fails if not mark.args and "condition" not in mark.kwargs]
    return any(str(mark.kwargs.get("reason") or "").strip() for mark in plain)


def _own_marks(marked: object) -> tuple[pytest.Mark, ...]:
    """Those of a test or of a class itself, as decorators or `pytestmark` put them there."""
    own: Any = getattr(marked, "__dict__", {}).get("pytestmark", ())
    listed = own if isinstance(own, (list, tuple)) else (own,)
    return tuple(one if isinstance(one, pytest.Mark) else one.mark for one in listed)


def _is_kit(cls: type) -> bool:
    return f"{cls.__module__}.".startswith(f"{KITS_PACKAGE}.")


def _is_test(name: str) -> bool:
    return name.startswith("test")


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


_marks.update((value, _own_marks(value)) for name, value in vars(KitBase).items() if _is_test(name))


KITS_PACKAGE = "robotrain.testing"
GUARD_NAME = "robotrain-kits"


class SkipGuard:
    """A plugin of pytest. way: what to do instead of skipping."""

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A skip counts when the kit itself asked for it, or what the author gives for a test is not there today."""
        report = yield
        if report.skipped and not hasattr(report, "wasxfail") and call.excinfo and _is_standard(item):
            frames = [one.frame.raw for one in call.excinfo.traceback]
            if not (_is_skipped_by_kit(frames) or _is_skipped_by_author_fixture(item, frames) or _has_skip_mark(item)):
                report.outcome = "failed"
                report.longrepr = (
                    f"This standard test was left out ({call.excinfo.value}): leave it, or {self._remedy}."
                )
        return report


def register_skip_guard(config: pytest.Config, remedy: str) -> None:
    """From now on, in this session."""
    if not config.pluginmanager.has_plugin(GUARD_NAME):
        config.pluginmanager.register(SkipGuard(remedy), GUARD_NAME)


def _is_standard(item: pytest.Item) -> bool:
    test = getattr(item, "function", None)
    return f"{getattr(test, '__module__', '')}.".startswith(f"{KITS_PACKAGE}.")


def _is_skipped_by_kit(frames: list[FrameType]) -> bool:
    """Whether the code that called `pytest.skip` is a kit's."""
    own = [name for one in frames if not (name := str(one.f_globals.get("__name__"))).startswith("_pytest.")]
    return bool(own) and own[-1].startswith(f"{KITS_PACKAGE}.")


def _is_skipped_by_author_fixture(item: pytest.Item, frames: list[FrameType]) -> bool:
    """Whether a fixture that is the author's to give, or one that it stands on, asked for it: an engine that is missing
    on this machine.
    """
    given = {*_list_author_fixtures(item)}
    making = [one.f_locals.get("fixturedef") for one in frames if one.f_code.co_name == "pytest_fixture_setup"]
    return any(getattr(one, "argname", None) in given for one in making)


def _list_author_fixtures(item: pytest.Item) -> Iterator[str]:
    information: Any = getattr(item, "_fixtureinfo", None)
    fixtures = getattr(information, "name2fixturedefs", {})
    kits = getattr(getattr(item, "cls", None), "__mro__", ())
    open_names = [name for kit in kits for name in vars(kit).get("yours", ())]
    seen: set[str] = set()
    while open_names:
        name = open_names.pop()
        if name not in seen:
            seen.add(name)
            open_names += [needed for one in fixtures.get(name, ()) for needed in one.argnames]
    return iter(seen)


def _has_skip_mark(item: pytest.Item) -> bool:
    """One that a hook put there, as with an option of the author's: those that are written were refused before."""
    return any(mark.name in ("skip", "skipif") for mark in item.iter_markers())
