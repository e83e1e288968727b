"""What would make a run fail, found by looking before anything is done."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason why the run would fail.

    code: stable and searchable. title: a sentence without a full stop. where, given: what it is about, as it was given.
    why: a sentence. ways: the ways out, best first.
    """

    code: str
    title: str
    where: str = ""
    given: str = ""
    why: str = ""
    ways: tuple[str, ...] = ()
