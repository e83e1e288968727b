"""Which version of a model something already is."""

from collections.abc import Iterable, Mapping

RUN, CHECKPOINT = "robotrain_run", "checkpoint"
"""Tags of a version that say which checkpoint it is, by its name."""
MODEL, WHOLE = DIGESTS = ("model_sha256", "checkpoint_sha256")
"""Tags that say it by its bytes: those of the model alone, and those of everything beside it too."""
Version = tuple[str, Mapping[str, str]]
"""Its number, and its tags."""


def newest(versions: Iterable[Version], tags: Mapping[str, str], *, by_name: bool) -> Version | None:
    """The newest version that is this one by its bytes, else by its run and step. tags: of this one. by_name: whether
    run and step say enough where bytes are known: who evaluates a policy did not make it, and may meet another under
    its name.
    """
    found = sorted(versions, key=_number, reverse=True)
    keys: list[tuple[str, ...]] = [(digest,) for digest in DIGESTS if digest in tags]
    keys += [(RUN, CHECKPOINT)] if by_name or not keys else []
    return next((one for key in keys for one in found if _agree(one[1], tags, key)), None)


def _agree(there: Mapping[str, str], tags: Mapping[str, str], key: tuple[str, ...]) -> bool:
    return all(name in tags and there.get(name) == tags[name] for name in key)


def _number(version: Version) -> int:
    return int(version[0]) if version[0].isdecimal() else 0
