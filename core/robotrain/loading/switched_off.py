"""Plugins that somebody leaves out: `--without NAME`, by the name of their distribution or of what they claim."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from robotrain.claims import built_in, normal
from robotrain.nearest import nearest
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.claims import Claim
    from robotrain.loading.failure import PluginError


def left(claims: Sequence[Claim], without: Iterable[str]) -> tuple[Claim, ...]:
    """The claims that are not switched off. Raises Rejected for names that switch nothing off."""
    names = list(dict.fromkeys(without))
    if idle := [name for name in names if not any(_meant(claim, name) for claim in claims)]:
        raise Rejected(_idle(name, claims) for name in idle)
    return tuple(claim for claim in claims if not any(_meant(claim, name) for name in names))


def unknown(family: str, name: str, installed: Sequence[str], without: Sequence[str]) -> PluginError:
    """A name that nobody brings, or that was switched off."""
    from robotrain.loading.failure import NotInstalled

    others = f"installed: {', '.join(installed) or 'none'}"
    if off := next((one for one in without if name in _brought_by(family, one)), ""):
        return NotInstalled(f"{family} {name!r} is switched off by --without {off}; {others}", near=False)
    whole = [] if built_in() else [Instead("uv pip install robotrain", "brings all that robotrain comes with")]
    file = Instead("robotrain --plugins-from FOLDER …", "when it comes from a plugin file")
    return NotInstalled(f"no {family} {redact(name)!r} is installed; {others}", *whole, file)


def kinds(without: Sequence[str]) -> str:
    """A sentence about the source kinds that are switched off, whose options are missed; empty without any."""
    from robotrain.claims import read_claims

    off = {
        claim.dotted: name
        for claim in read_claims()
        for name in without
        if claim.family == "source" and _meant(claim, name)
    }
    words = " ".join(f"--without {name}" for name in dict.fromkeys(off.values()))
    return f"The options of {', '.join(off)} are switched off by {words}." if off else ""


def no_workload(installed: Sequence[str]) -> Rejected:
    """A job names no workload, and no installed one is the default."""
    whole = () if built_in() else (Instead("uv pip install robotrain", "brings all that robotrain comes with"),)
    ways = (*(Instead(name) for name in installed), *whole)
    title = "no workload was chosen, and no installed one is the default"
    return Rejected([Problem(code="workload-missing", stage=Stage.USAGE, title=title, instead=ways)])


def several_defaults(names: Sequence[str]) -> Problem:
    """A warning: more than one workload declares that it is the default."""
    return Problem(
        code="workload-defaults",
        stage=Stage.USAGE,
        title=f"{len(names)} workloads declare that they are the default: {', '.join(names)}; {names[0]} is used",
        why="A job that names no workload means the first of them by name.",
        instead=tuple(Instead(name, "names it") for name in names),
        severity="warning",
    )


def _brought_by(family: str, without: str) -> set[str]:
    """The names of a family that are switched off by a word."""
    from robotrain.claims import read_claims

    return {claim.name for claim in read_claims() if claim.family == family and _meant(claim, without)}


def _meant(claim: Claim, name: str) -> bool:
    return claim.dotted == name or claim.project == normal(name)


def _idle(name: str, claims: Sequence[Claim]) -> Problem:
    full = dict.fromkeys(text for claim in claims for text in (claim.point.distribution, claim.dotted))
    bare = {claim.name: claim.dotted for claim in claims}
    meant = nearest(name, full) or bare.get(nearest(name, bare) or "")
    list_them = Instead("robotrain plugins", "lists what is installed")
    return Problem(
        code="plugin-unknown",
        stage=Stage.USAGE,
        title=f"--without {redact(name)} switches nothing off: nothing installed has that name",
        where="--without",
        given=redact(name),
        instead=(Instead(f"--without {meant}") if meant else list_them,),
    )
