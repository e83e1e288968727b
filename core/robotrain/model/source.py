"""Source kinds: where data and policies come from, and how users name them."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from robotrain_runtime.contract.failure import SourceError as SourceError  # part of this module too

from robotrain.model.support import Support

ROLES = (
    *("dataset", "policy", "reference", "init_policy", "checkpoint", "resume", "code"),
    *("backbone", "scenes", "publish"),
)
"""What sources are for a job, in the order in which they are shown; other workloads may have more."""
FETCHED_ROLES = tuple(role for role in ROLES if role != "code")
"""Those that the machine of the job fetches or writes with a source kind's container plugin, which is sent with it."""

LOCAL_KIND = "local_path"
"""The kind of a folder or file of a machine."""
REMOTE_KIND = "remote_path"
"""The kind of a folder of a cluster that is reached by ssh: `HOST:/PATH`."""


class Source(Protocol):
    """A typed, immutable input. `str()` is its printed form: safe to log, and parsed to an equal source."""

    kind: ClassVar[str]

    def __str__(self) -> str:
        """The printed form."""


class SourceUnreachable(SourceError):
    """The source cannot be read from this machine, but the machine that runs the job may have access.

    `pin` is known without it where a name always means the same content.
    """

    def __init__(self, reason: str, suggestion: str = "", pin: str = "") -> None:
        super().__init__(reason, suggestion)
        self.pin = pin


class SourceNotFound(SourceError):
    """The source does not exist, so no run could use it."""


@dataclass(frozen=True)
class RoleFlag:
    """The flag that gives sources of a kind for a role."""

    flag: str
    aliases: tuple[str, ...] = ()
    """Other spellings of the flag."""
    env: tuple[str, ...] = ()
    """Environment variables that can hold a default."""
    revision_env: tuple[str, ...] = ()
    """Environment variables with the revision of that default, which is added as `@REVISION`."""
    repeatable: bool = True
    help: str = field(default="", compare=False)
    """The help text, if not that of the kind: kinds that share a flag may describe it differently."""
    form: str = field(default="", compare=False)
    """The placeholder in help, if not that of the kind."""
    common: bool = field(default=False, compare=False)
    """Whether `--help` shows it; what is not common is in `--help-all` alone."""
    complete: Callable[[str], Sequence[str]] | None = field(default=None, compare=False)
    """Return completions of an incomplete text, for the TAB key."""
    recognizes: Callable[[str], bool] | None = field(default=None, compare=False)
    """Return whether a text looks like a source of the kind in this role, if fewer do than in others."""
    source_form: str = field(default="", compare=False)
    """What to type for a source of the kind in this role, if not the form of the kind."""
    copy_form: str = field(default="", compare=False)
    """What to type for a copy of a repository: OWNER/NAME in it is the repository's name. Empty if it takes none."""


class Pinning(NamedTuple):
    """How a kind pins a source to its current content.

    The functions may use the network. They raise SourceError if that fails, and SourceUnreachable if the failure says
    nothing about the source; the job is then sent with an unpinned source.
    """

    resolve: Callable[[Source, str], str]
    """(source, role) → the pin: a commit or a digest, the same for the same content."""
    explain_lost_pin: Callable[[Source, str, str], str]
    """(source, role, pin) → why an earlier pin is no longer available, as a sentence; empty while it is."""
    find_missing: Callable[[Source, str, Sequence[str]], Sequence[str]] = lambda source, role, paths: ()
    """(source, role, paths) → those of `paths` that are certainly not in the source."""
    read_files: Callable[[Source, str, str, Sequence[str]], Mapping[str, bytes]] = lambda source, role, pin, paths: {}
    """(source, role, pin, paths) → the content of those of `paths`, a few small files, that the pinned source has."""
    list_files: Callable[[Source, str, str], Mapping[str, int]] | None = None
    """(source, role, pin) → the size of each file of the pinned source, by path; None if `download` cannot read."""
    download: Callable[[Source, str, str, Sequence[str], Path, float], None] = lambda *_: None
    """(source, role, pin, paths, folder, seconds): write files of the pinned source below a folder, in that time."""
    read_tags: Callable[[Source, str, str], Sequence[str]] = lambda source, role, pin: ()
    """(source, role, pin) → `NAME=VALUE`: what a run records of the pinned source, such as the commit of code."""

    @classmethod
    def from_module(cls, load: "Callable[[], PinModule]", *, has_files: bool = False) -> "Pinning":
        """Return the functions of a module that is loaded when one is called; `read_files` and `read_tags` may lack.

        With `has_files` the module has `list_files` and `download`.
        """

        def call_optional(name: str, *arguments: Any) -> Any:
            function: Any = getattr(load(), name, cls._field_defaults[name])
            return function(*arguments)

        return cls(
            resolve=lambda source, role: load().resolve_pin(source, role),
            explain_lost_pin=lambda source, role, pin: load().explain_lost_pin(source, role, pin),
            find_missing=lambda source, role, paths: load().find_missing_paths(source, role, paths),
            read_files=functools.partial(call_optional, "read_files"),
            read_tags=functools.partial(call_optional, "read_tags"),
            list_files=functools.partial(call_optional, "list_files") if has_files else None,
            download=functools.partial(call_optional, "download"),
        )


class PinModule(Protocol):
    """A module with the functions of `Pinning`."""

    def resolve_pin(self, source: Any, role: str) -> str:
        """Return the pin."""

    def explain_lost_pin(self, source: Any, role: str, pin: str) -> str:
        """Return why a pin is no longer available."""

    def find_missing_paths(self, source: Any, role: str, paths: Sequence[str]) -> Sequence[str]:
        """Return the paths that are certainly not in the source."""


@dataclass(frozen=True, kw_only=True)
class TargetForm:
    """How users name a place of a kind to write to, where that differs from a source."""

    form: str
    """What to type, with placeholders."""
    recognizes: Callable[[str], bool]
    """Return whether a text looks like such a place."""
    parse: Callable[[str], object]
    """Return the place, whose `str()` is its printed form. Raise SourceError."""
    takes_results: bool = True
    """Whether the results of an evaluation can be written there, not only checkpoints."""


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """A kind of source, as its plugin declares it."""

    name: str
    title: str
    """The plural used in messages: `blob URLs`."""
    form: str
    """What to type, with placeholders."""
    example: str = ""
    """A valid text, as tests use it."""
    help: str
    roles: Mapping[str, RoleFlag]
    """The flag for each role that the kind can fill."""
    recognizes: Callable[[str], bool]
    """Return whether a text looks like a source of this kind, whichever flag it was given for."""
    parse: Callable[[str, Path], Source]
    """Return the source of a text and the folder that relative paths start from; it may be of another kind. Raise
    SourceError.
    """
    parse_in_role: Callable[[str, str, Path], Source] | None = None
    """(role, text, folder) → as `parse`, for a kind whose texts mean something else in another role: `latest`."""
    container_plugin: str = ""
    """The module that fetches it in the container; empty if the platform mounts it or it cannot be fetched yet."""
    warn: Callable[[Source], list[str]] = field(default=lambda source: [])
    """Return warnings, one sentence each, about a valid source."""
    schemes: tuple[str, ...] = ()
    pinning: Pinning | None = None
    """For kinds whose content can change under the same name."""
    fetch_here: Callable[[Source], Path] | None = None
    """(source) → a folder of this machine with its content, which the job has in its place. Raise SourceError."""
    pinned_by_platform: Callable[[str], bool] = field(default=lambda uri: False)
    """Return whether the platform pins a source instead: it knows the registry of the job's models."""
    target: str = ""
    """The module that writes to such a place in the container, if it can be written to."""
    target_form: TargetForm | None = None
    """How users name such a place; None if as a source."""
    platform_managed: bool = False
    """Whether the platform itself copies checkpoints to such a place, so that the container does not know it."""
    all_checkpoints: str = ""
    """What follows a text of this kind that means the newest checkpoint, so that it means all of them: `@all`."""
    describe_meaning: Callable[[str, Source], str] = field(default=lambda text, source: "")
    """(text, source) → what a looked-up text stands for, for the user; empty where the source shows it."""
    find_job: Callable[[str], Any] = field(default=lambda text: None)
    """(text) → the job (`robotrain.model.job.Job`) of the run that a looked-up text stands for; None for none."""
    requires: str = ""
    """A feature of the platform that `container_plugin` needs, such as `tracking`."""
    unsupported: Mapping[str, Support] = field(default_factory=dict)
    """By role, or ANY for the others: the support on platforms that do not list the kind."""

    def recognizes_as(self, role: str, text: str) -> bool:
        """Return whether a text looks like a source of this kind in a role."""
        flag = self.roles.get(role)
        return (flag.recognizes if flag and flag.recognizes else self.recognizes)(text)

    def parse_as(self, role: str, text: str, base: Path) -> Source:
        """Return the source that a text stands for in a role. Raise SourceError."""
        return self.parse_in_role(role, text, base) if self.parse_in_role else self.parse(text, base)

    def get_form(self, role: str) -> str:
        """Return what to type for a source of this kind in a role, with placeholders."""
        flag = self.roles.get(role)
        return (flag.source_form if flag else "") or self.form

    def recognizes_target(self, text: str) -> bool:
        """Return whether a text looks like a place of this kind to write to."""
        return (self.target_form.recognizes if self.target_form else self.recognizes)(text)

    def parse_target(self, text: str) -> object:
        """Return the place that a text names. Raise SourceError."""
        return self.target_form.parse(text) if self.target_form else self.parse(text, Path("/"))

    @property
    def place_form(self) -> str:
        """What to type for a place to write to, with placeholders."""
        return self.target_form.form if self.target_form else self.form
