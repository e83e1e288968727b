"""The base of all kits: standard tests that a subclass cannot drop or skip unnoticed."""

from collections.abc import Generator, Iterator
from types import FrameType, FunctionType
from typing import Any, ClassVar

import pytest

CONSTRUCTORS = ("__init__", "__new__", "__init_subclass__")
"""With one of these in a subclass, pytest or this module would not see its tests."""
HIDING_MARKS = ("skip", "skipif", "xfail")
"""Marks that, on a whole class or module, take every test out at once."""
KITS_PACKAGE = "robotrain.testing"
GUARD_NAME = "robotrain-kits"
REMEDY = "call the kit's test in one of your own that is marked @pytest.mark.xfail(reason=…), with the reason"

_marks: dict[object, tuple[pytest.Mark, ...]] = {}


class DroppedTestError(TypeError):
    """A subclass of a kit leaves out standard tests; the message names each."""


class KitBase:
    """The base of all kits: a class of `robotrain.testing` whose `test_…` methods are standard tests.

    A subclass that replaces a standard test, sets it to None, marks it or changes its parameters is rejected when it is
    defined, and again when pytest collects it; only a test in that place marked `xfail` with a reason is accepted.
    """

    yours: ClassVar[tuple[str, ...]] = ()
    """The names of the kit that a subclass may define."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if _is_kit(cls):
            _marks.update((value, _own_marks(value)) for name, value in vars(cls).items() if _is_test(name))
        else:
            _refuse_dropped_tests(cls)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Check again when pytest collects a test: the class may have changed after it was defined."""
        _refuse_dropped_tests(type(self))
        _refuse_module_marks(metafunc.definition)
        register_skip_guard(metafunc.config)
        self.parametrize(metafunc)

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize a test; a kit overrides it to make one test of each case."""

    def test_no_standard_test_is_dropped(self) -> None:
        """Every standard test runs, or is marked as failing with a reason."""
        _refuse_dropped_tests(type(self))


def find_dropped_tests(subclass: type[KitBase]) -> list[str]:
    """Return a sentence for each standard test that a class leaves out."""
    return [*_find_replaced(subclass), *_find_hidden(subclass), *_find_marked(subclass)]


def _refuse_dropped_tests(subclass: type[KitBase]) -> None:
    if found := find_dropped_tests(subclass):
        raise DroppedTestError("\n".join(found))


def _refuse_module_marks(item: pytest.Item) -> None:
    for node, mark in item.iter_markers_with_node():
        if mark.name in HIDING_MARKS and isinstance(node, (pytest.Module, pytest.Package)):
            raise DroppedTestError(f"pytest.mark.{mark.name} on {node.name} takes every standard test out: {REMEDY}.")


def _find_replaced(subclass: type[KitBase]) -> Iterator[str]:
    """Yield the kit's names that another base or the class itself replaces."""
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
    """Yield standard tests that were marked in place: every class of the kit shares them."""
    for name in (name for kit in subclass.__mro__ if _is_kit(kit) for name in vars(kit) if _is_test(name)):
        test = getattr(subclass, name)
        if isinstance(test, FunctionType) and test in _marks and _own_marks(test) != _marks[test]:
            yield f"{subclass.__name__}.{name} is the kit's own test, marked for everybody: {REMEDY}."


def _is_expected_to_fail(test: object) -> bool:
    """Return whether a test is marked xfail with a reason and without a condition."""
    fails = [mark for mark in _own_marks(test) if mark.name == "xfail"]
    plain = [mark for mark in fails if not mark.args and "condition" not in mark.kwargs]
    return any(str(mark.kwargs.get("reason") or "").strip() for mark in plain)


def _own_marks(marked: object) -> tuple[pytest.Mark, ...]:
    """Return the marks of a test or class itself, not of its bases."""
    own: Any = getattr(marked, "__dict__", {}).get("pytestmark", ())
    listed = own if isinstance(own, (list, tuple)) else (own,)
    return tuple(one if isinstance(one, pytest.Mark) else one.mark for one in listed)


def _is_of_kit(module: object) -> bool:
    return f"{module}.".startswith(f"{KITS_PACKAGE}.")


def _is_kit(cls: type) -> bool:
    return _is_of_kit(cls.__module__)


def _is_test(name: str) -> bool:
    return name.startswith("test")


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


_marks.update((value, _own_marks(value)) for name, value in vars(KitBase).items() if _is_test(name))


class SkipGuard:
    """A pytest plugin that fails standard tests that are skipped by anybody but the kit."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Accept a skip by the kit itself, or by a fixture that the author defines."""
        report = yield
        is_standard = _is_of_kit(getattr(getattr(item, "function", None), "__module__", ""))
        if report.skipped and not hasattr(report, "wasxfail") and call.excinfo and is_standard:
            frames = [one.frame.raw for one in call.excinfo.traceback]
            if not (_is_skipped_by_kit(frames) or _is_skipped_by_author_fixture(item, frames) or _has_skip_mark(item)):
                report.outcome = "failed"
                report.longrepr = f"This standard test was skipped ({call.excinfo.value}): leave it, or {REMEDY}."
        return report


def register_skip_guard(config: pytest.Config) -> None:
    """Register the guard for this session."""
    if not config.pluginmanager.has_plugin(GUARD_NAME):
        config.pluginmanager.register(SkipGuard(), GUARD_NAME)


def _is_skipped_by_kit(frames: list[FrameType]) -> bool:
    """Return whether a kit called `pytest.skip`."""
    own = [name for one in frames if not (name := str(one.f_globals.get("__name__"))).startswith("_pytest.")]
    return bool(own) and _is_of_kit(own[-1])


def _is_skipped_by_author_fixture(item: pytest.Item, frames: list[FrameType]) -> bool:
    """Return whether a fixture of the author, or one that it uses, skipped: an engine is missing on this machine."""
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
    """Return whether a hook added a skip mark, as for an option: those in the source were rejected before."""
    return any(mark.name in ("skip", "skipif") for mark in item.iter_markers())
