"""Source kinds: where data and policies come from, how a person names them, and what is refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from robotrain.model.capabilities import Support


class Source(Protocol):
    """A typed, immutable input. `str()` is its printed form: safe to log, and parsing it gives an equal source."""

    kind: ClassVar[str]

    def __str__(self) -> str:
        """The printed form."""


class SourceError(ValueError):
    """A text that names no source of a kind. Neither the message nor `instead` repeats anything secret.

    why: a sentence. instead: something to type that would do, when one is known.
    """

    def __init__(self, why: str, suggestion: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.suggestion = suggestion


class SourceUnreachable(SourceError):
    """What a source means now cannot be told on this machine, though the one that runs the job may be let in."""


class SourceNotFound(SourceError):
    """What is named is surely not there, whoever asks: no run could take it."""


@dataclass(frozen=True)
class RoleFlag:
    """How a kind is given for a role. aliases: further spellings, short ones too. env: names that hold a default.

    alone: never beside a source of another kind in this role; `beside` then says what to use. help, form: where those
    of the kind would not do, as when several kinds share the flag. known: what the TAB key offers, for the beginning of
    a text.
    """

    flag: str
    aliases: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    repeatable: bool = True
    exclusive: bool = False
    combine_hint: str = ""
    help: str = field(default="", compare=False)  # kinds that share a flag may tell it in their own words
    form: str = field(default="", compare=False)
    complete: Callable[[str], Sequence[str]] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Pinning:
    """How a kind says what a source means at this moment, in the role it fills. Both may ask the network; both raise
    SourceError when they get no answer, and Unseen when that says nothing of the source: then it is sent unpinned.

    now: (source, role) → the pin, a commit or a digest: the same content gives the same one. gone: (source, role, pin)
    → why an earlier pin cannot be had any more, as a sentence; empty while it can. lacks: (source, role, paths) → those
    of `paths` that are surely not in the source; what cannot be told is no part.
    """

    resolve: Callable[[Source, str], str]
    find_loss: Callable[[Source, str, str], str]
    find_missing: Callable[[Source, str, Sequence[str]], Sequence[str]] = field(default=lambda source, role, paths: ())


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """A kind of source, as its plugin declares it.

    title: the plural used in messages ("blob URLs"). form: what to type, with placeholders. example: a text that
    parses, as it is tried on every platform. roles: the flag for each role it can fill. recognises: whether a text
    looks meant for this kind, wherever it was typed. parse: text and the folder that relative names start from → a
    typed source; raises SourceError. warn: sentences about a source that parses but will probably disappoint. half: the
    module that acts in the container; empty when none does: the platform mounts the data, or the kind cannot be fetched
    yet, and nothing is packed. pinning: for kinds whose names may come to mean something else. parse may answer with a
    source of another kind, which is then the one that counts. target: the module that writes to such a place in the
    container, when it is a place to write to as well. carried: it is one that the platform itself copies checkpoints
    to: nothing in the container is told of it. meant: (text, source) → what a text that was looked up stands for, in
    words for the person who typed it; empty where the source itself says it. requires: a feature of the platform that
    the half cannot do without, such as `tracking` where it looks up what was typed. unsupported: by role, or ANY for
    the others, the answer of every platform that does not list the kind: why it cannot take it, and what to use.
    """

    name: str
    title: str
    form: str
    example: str = ""
    help: str
    roles: Mapping[str, RoleFlag]
    recognizes: Callable[[str], bool]
    parse: Callable[[str, Path], Source]
    container_plugin: str = ""
    warn: Callable[[Source], list[str]] = field(default=lambda source: [])
    schemes: tuple[str, ...] = ()
    pinning: Pinning | None = None
    target: str = ""
    platform_managed: bool = False
    describe_meaning: Callable[[str, Source], str] = field(default=lambda text, source: "")
    requires: str = ""
    unsupported: Mapping[str, Support] = field(default_factory=dict)
