"""The job document: the only thing that crosses into the container, and what it says of the machine."""

import dataclasses
import functools
import json
import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

SCHEMA = 1

Scalar = str | int | float | bool | None

RoleName = Literal["dataset", "policy", "init_policy", "checkpoint", "resume"]
"""What an input is for: data, a policy to go on from or to evaluate, weights alone, a model to export, and a training's
checkpoint with everything its next step needs.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSource:
    """One input: what it is for, its kind, and the kind's own printed form (which holds no secret).

    pin: what a moving name meant when the job was sent, in the kind's own words (a commit, a digest); empty for none.
    """

    role: RoleName
    kind: str
    uri: str
    pin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A source that the platform itself brings to the machine, before the runtime starts.

    role, uri: those of the source. folder: where it lies. origin: what the platform brought there, for messages.
    """

    role: RoleName
    uri: str
    folder: str
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the platform put the job: folders of the machine it runs on, and how it reaches tracking.

    work: the run's own folder; events, outcome and outputs are written below it. cache: shared by runs; built
    environments live there. tracking_uri: an MLflow address, empty for none. environment: an existing Python
    environment to use instead of building the locked one. torch_backend: which build of PyTorch to take instead of the
    locked one, in uv's words (`cpu`, `cu126`, `auto`), at the locked version. credentials: by source kind, the file
    that holds the secret it is read with, or the secret's address in a key vault of Azure, where the machine's own
    identity does not do. download_mib: the memory that downloads may hold at a time. cache_gib: what data may take in
    the cache; the longest unused goes first.

    mounts: sources that are there already. promised: names of the environment that say again what the document says, as
    this platform's users expect them; the runtime refuses to start when one says something else. submission: the name
    of the environment that holds the platform's own id of this submission, the same for each of its attempts; empty
    where the work folder outlives an attempt. left: the folder where the platform brings back what an earlier attempt
    left, empty on a first one. ways: by source kind, how a person gives this platform the secret that it is read with.

    tracking_run: the name of the environment that holds the tracking run which the platform made for this one: it is
    written to, and its end is the platform's to tell. kept: the folder that the platform keeps when the run ends; each
    complete checkpoint is copied there; empty for none. kept_as: what that folder is called elsewhere, for people; each
    `${NAME}` in it is a name of the environment.

    `mounts[…].folder`, `left` and `kept` may begin with `${NAME}/…`, or be `${NAME}`: a name of the environment, as it
    is or in upper case, where only the platform knows the folder.
    """

    work: str
    cache: str
    tracking_uri: str = ""
    environment: str | None = None
    torch_backend: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)
    download_mib: int = 128
    cache_gib: float | None = None
    mounts: tuple[Mount, ...] = ()
    promised: Mapping[str, str] = field(default_factory=dict)
    submission: str = ""
    left: str = ""
    ways: Mapping[str, str] = field(default_factory=dict)
    tracking_run: str = ""
    kept: str = ""
    kept_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDocument:
    """A resolved job with everything the runtime needs; nothing else crosses.

    run: the run's name. job: the digest of the platform-neutral job. halves: the modules that act in the container,
    by what they stand for (`workload.lerobot-train`, `source.local_path`).
    """

    schema: int
    run: str
    job: str
    workload: str
    platform: str
    halves: Mapping[str, str]
    parameters: Mapping[str, Scalar]
    placement: Placement
    sources: tuple[JobSource, ...] = ()
    trainer_args: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the one text form of the document, as `format_document` does."""
        return format_document(self)


class DocumentError(ValueError):
    """Every wrong place of a document, as `path: why` lines."""


def parse_document(text: str) -> JobDocument:
    """Read a document. Raises DocumentError that names every wrong place; values are never repeated."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DocumentError(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise DocumentError("a job document is a JSON object")
    if data.get("schema") != SCHEMA:
        raise DocumentError(f"schema: this runtime reads {SCHEMA}, the document is {data.get('schema')!r}")
    wrong: list[str] = []
    document = convert_json(JobDocument, data, "", wrong)
    if wrong:
        raise DocumentError("\n".join(wrong))
    return typing.cast(JobDocument, document)


def format_document(document: JobDocument) -> str:
    """The one text form: sorted keys, so that equal documents are equal bytes."""
    return json.dumps(dataclasses.asdict(document), indent=1, sort_keys=True) + "\n"


def convert_json(kind: Any, value: Any, path: str, errors: list[str]) -> Any:
    """`value`, as JSON has it, as `kind`; what does not fit is added to `wrong`, as `path: why` without the value."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _convert_object(kind, value, path, errors)
    if origin is tuple and isinstance(value, list):
        return tuple(convert_json(args[0], part, f"{path}[{index}]", errors) for index, part in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {key: convert_json(args[1], part, f"{path}.{key}", errors) for key, part in value.items()}
    if origin is Literal and value in args:
        return value
    if origin in (typing.Union, types.UnionType) and any(_has_type(value, part) for part in args):
        return value
    if _has_type(value, kind):
        return value
    errors.append(f"{path or 'document'}: a {type(value).__name__} does not fit here")
    return None


def _convert_object(kind: type, value: Any, path: str, errors: list[str]) -> Any:
    if not isinstance(value, dict):
        errors.append(f"{path or 'document'}: must be an object")
        return None
    hints = _get_hints(kind)
    fields = {one.name: one for one in dataclasses.fields(kind)}
    before = len(errors)
    errors += [f"{path}.{name}: unknown".lstrip(".") for name in sorted(value.keys() - fields.keys())]
    for name, one in fields.items():
        needed = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        if needed and name not in value:
            errors.append(f"{path}.{name}: missing".lstrip("."))
    read = {
        name: convert_json(hints[name], value[name], f"{path}.{name}".lstrip("."), errors)
        for name in fields
        if name in value
    }
    return None if len(errors) > before else kind(**read)


@functools.cache
def _get_hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _has_type(value: Any, kind: Any) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)


_NAME_PATTERN = r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"


class UnsetVariable(LookupError):
    """A folder begins with a name that the environment does not have. The text is the name."""


def find_mount(document: JobDocument, source: JobSource) -> Mount | None:
    """What brings a source; None for one that is to be fetched."""
    named = (mount for mount in document.placement.mounts if (mount.role, mount.uri) == (source.role, source.uri))
    return next(named, None)


def list_fetched_sources(document: JobDocument) -> tuple[JobSource, ...]:
    """The sources of a document that nothing brings: those the runtime fetches itself."""
    return tuple(source for source in document.sources if find_mount(document, source) is None)


def resolve_folder(text: str) -> Path:
    """The folder that a document names, perhaps by a name of the environment. Raises UnsetVariable."""
    named = re.fullmatch(rf"{_NAME_PATTERN}((?:/.*)?)", text, re.DOTALL)
    return Path(_read_variable(named[1]) + named[2]) if named else Path(text)


def expand_variables(text: str) -> str:
    """A text with what the names of the environment in it hold. Raises UnsetVariable."""
    return re.sub(_NAME_PATTERN, lambda named: _read_variable(named[1]), text)


def _read_variable(name: str) -> str:
    """What a name holds: a platform may spell it in upper case, whatever case it was declared in."""
    if found := os.environ.get(name) or os.environ.get(name.upper()):
        return found
    raise UnsetVariable(name)


def read_submission_id(document: JobDocument) -> str:
    """The platform's own id of this submission, the same for each of its attempts; empty where there is none."""
    return os.environ.get(document.placement.submission, "")


def read_platform_tracking_run(document: JobDocument) -> str:
    """The tracking run that the platform made for this one; empty where it made none."""
    return os.environ.get(document.placement.tracking_run, "")
