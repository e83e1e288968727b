"""What is installed: robotrain's parts in one version, and plugins that load."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from robotrain import __version__
from robotrain.claims import built_in
from robotrain.health import Finding, fail, ok, warn
from robotrain.problem import Instead

if TYPE_CHECKING:
    from robotrain.plugins import Failure, Plugins


def parts() -> Iterator[Finding]:
    """Robotrain's distributions move in lock step; one that was left behind fails in strange ways."""
    found = {name: _version(name) for name in sorted(built_in())}
    others = {name: said for name, said in found.items() if said not in ("", __version__)}
    for name, said in others.items():
        way = Instead(f'pip install "{name}=={__version__}"', "or upgrade all of them together")
        yield fail(f"{name} is {said}, and robotrain-core is {__version__}: they belong to each other", way)
    if not others:
        yield ok(f"{__version__}, on Python {platform.python_version()} ({sys.executable})")


def plugins(found: "Plugins", chosen: str) -> Iterator[Finding]:
    """Those that failed; only one that the chosen platform comes from stops every submit."""
    for failure in found.failures.values():
        yield _failure(failure, chosen)
    if not found.failures:
        brought = {claim.distribution for claim in found.claims}
        yield ok(f"{len(found.claims)} names from {len(brought)} packages, all of them load")


def _failure(failure: "Failure", chosen: str) -> Finding:
    claim = failure.claim
    ways = [*failure.ways]
    if claim.own and not failure.hook:
        ways.append(Instead(f"pip install --force-reinstall {claim.point.distribution}", "puts it right"))
    if chosen and (claim.family, claim.name) == ("platform", chosen):
        return fail(str(failure), *ways)
    skipped = "" if claim.family else ": its rules are not enforced"
    if failure.hook == "robotrain_health":
        skipped = ": what it would look at was not looked at"
    return warn(f"{failure}{skipped}", *ways)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # an extra
        return ""
