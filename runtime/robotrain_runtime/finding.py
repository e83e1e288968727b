"""What would make a run fail, found by looking before anything is done."""

from dataclasses import dataclass

from robotrain_runtime.event import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason why the run would fail.

    code: stable and searchable. title: a sentence without a full stop. where, given: what it is about, as it was given.
    why: a sentence. ways: the ways out, best first. fault: whose it is.
    """

    code: str
    title: str
    where: str = ""
    given: str = ""
    why: str = ""
    ways: tuple[str, ...] = ()
    fault: Fault = "configuration"


def of_sentence(code: str, sentence: str, given: str = "", fault: Fault = "data") -> Finding:
    """A half's sentence as a finding; what is on its second line is the way out."""
    title, _, way = sentence.partition("\n")
    return Finding(code=code, title=title.rstrip("."), given=given, ways=(way,) if way else (), fault=fault)
