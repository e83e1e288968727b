"""The source kind `earlier_source`, on the machine that submits: how users name data.

Nothing heavy is imported here: `--help` and the TAB key import this module too.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.plugin import RoleFlag, SourceError, SourceKind, hook

SCHEME = "earlier-source://"
EXAMPLE = f"{SCHEME}pusht"


@dataclass(frozen=True)
class EarlierSource:
    """What a user named: immutable, and without a secret, since plans and records store its text."""

    kind: ClassVar[str] = "earlier_source"
    name: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.name}"


def recognizes(text: str) -> bool:
    """Return whether a text is meant to be of this kind, be it right or wrong."""
    return text.startswith(SCHEME)


def parse(text: str, base: Path) -> EarlierSource:
    """Return what a text names. Raise SourceError with a sentence, and what to write.

    :param base: the folder that a relative path in the text starts from.
    """
    found = re.fullmatch(rf"{SCHEME}([A-Za-z0-9][\w.-]*)/?", text.strip(), re.ASCII)
    if not found:
        raise SourceError(f"The form is {SCHEME}NAME, with letters, digits, dots and dashes.", EXAMPLE)
    return EarlierSource(found[1])


@hook
def robotrain_source_kinds() -> list[SourceKind]:
    """Return the source kind: robotrain calls this when it reads the flags of sources."""
    return [
        SourceKind(
            name="earlier_source",
            title="earlier_source data",
            form=f"{SCHEME}NAME",
            example=EXAMPLE,
            help="Data below the folder that every machine mounts.",
            # A flag for each role that it may have: dataset, policy, init_policy, resume.
            roles={"dataset": RoleFlag("--earlier-source")},
            recognizes=recognizes,
            parse=parse,
            container_plugin="robotrain_earlier_source.container",
            # With `pinning=Pinning(resolve=…, explain_lost_pin=…)` a job reads what the name meant when it was
            # submitted.
        )
    ]
