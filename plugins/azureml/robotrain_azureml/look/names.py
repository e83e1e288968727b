"""A name that is not there, told with those that are."""

from collections.abc import Sequence

from robotrain.nearest import nearest
from robotrain.problem import Instead
from robotrain_azure.arm import Arm, ArmError

SHOWN = 8


def below(arm: Arm, path: str, version: str) -> list[str]:
    """The names of a list of the resource manager; none where it is not told."""
    try:
        return sorted(str(one["name"]) for one in arm.all(path, version))
    except ArmError:
        return []


def others(said: str, wanted: str, names: Sequence[str], shows: str) -> tuple[Instead, ...]:
    """What to type in place of a name. said: what is typed, with `{}` for the name. shows: what lists the names."""
    if not names:
        return (Instead(shows, "shows what there is"),)
    near = nearest(wanted, names) or (names[0] if len(names) == 1 else "")
    listed = [*([near] if near else []), *(name for name in names if name != near)]
    more = f", … ({len(listed) - SHOWN} more)" if len(listed) > SHOWN else ""
    there = f"there {'are' if listed[1:] else 'is'} {', '.join(listed[:SHOWN])}{more}"
    return (Instead(said.replace("{}", near or "NAME"), there),)
