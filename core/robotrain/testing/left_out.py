"""Standard tests that were skipped, by something that is not the kit's, are told as failed."""

from collections.abc import Generator, Iterator
from types import FrameType
from typing import Any

import pytest

KITS = "robotrain.testing"
NAME = "robotrain-kits"


class LeftOut:
    """A plugin of pytest. way: what to do instead of skipping."""

    def __init__(self, way: str) -> None:
        self._way = way

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A skip counts when the kit itself asked for it, or what the author gives for a test is not there today."""
        report = yield
        if report.skipped and not hasattr(report, "wasxfail") and call.excinfo and _is_standard(item):
            frames = [one.frame.raw for one in call.excinfo.traceback]
            if not (_by_the_kit(frames) or _of_what_is_given(item, frames) or _by_a_mark(item)):
                report.outcome = "failed"
                report.longrepr = f"This standard test was left out ({call.excinfo.value}): leave it, or {self._way}."
        return report


def watch(config: pytest.Config, way: str) -> None:
    """From now on, in this session."""
    if not config.pluginmanager.has_plugin(NAME):
        config.pluginmanager.register(LeftOut(way), NAME)


def _is_standard(item: pytest.Item) -> bool:
    test = getattr(item, "function", None)
    return f"{getattr(test, '__module__', '')}.".startswith(f"{KITS}.")


def _by_the_kit(frames: list[FrameType]) -> bool:
    """Whether the code that called `pytest.skip` is a kit's."""
    own = [name for one in frames if not (name := str(one.f_globals.get("__name__"))).startswith("_pytest.")]
    return bool(own) and own[-1].startswith(f"{KITS}.")


def _of_what_is_given(item: pytest.Item, frames: list[FrameType]) -> bool:
    """Whether a fixture that is the author's to give, or one that it stands on, asked for it: an engine that is missing
    on this machine.
    """
    given = {*_given(item)}
    making = [one.f_locals.get("fixturedef") for one in frames if one.f_code.co_name == "pytest_fixture_setup"]
    return any(getattr(one, "argname", None) in given for one in making)


def _given(item: pytest.Item) -> Iterator[str]:
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


def _by_a_mark(item: pytest.Item) -> bool:
    """One that a hook put there, as with an option of the author's: those that are written were refused before."""
    return any(mark.name in ("skip", "skipif") for mark in item.iter_markers())
