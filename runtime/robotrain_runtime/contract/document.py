"""The job document: everything that the runtime needs to know about a job and its machine."""

import dataclasses
import json
import os
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robotrain_runtime.contract.json_values import convert_json, parse_json

SCHEMA = 1
DOCUMENT_FILE = "job.json"
"""The name of the file with a job's document, in a plan and where the job runs."""
JOB_FILE_KEY = "job_file"
"""What the record has the job file under."""

Scalar = str | int | float | bool | None

RoleName = Literal[
    "dataset", "policy", "reference", "init_policy", "checkpoint", "resume", "code", "backbone", "scenes"
]
"""The use of an input: training data, a policy to train further or evaluate, one to compare it with, initial weights, a
model to export, a checkpoint with the full training state, the user's own program, and a pretrained model or tokenizer
that a policy names but does not contain.
"""


@dataclass(frozen=True, kw_only=True)
class JobSource:
    """An input of a job."""

    role: RoleName
    kind: str
    uri: str
    """The address in the notation of its kind, without secrets."""
    pin: str = ""
    """The commit or digest that the address was resolved to when the job was submitted; empty for none."""
    tags: tuple[str, ...] = ()
    """`NAME=VALUE`: tags of a registered model, as they were when the job was submitted."""
    implied: bool = False
    """Whether the workload's container plugin added it (`implied_sources`), not the user: it follows from the rest."""

    @property
    def tag_values(self) -> dict[str, str]:
        """Its tags by name."""
        return {name: tag_value for name, _, tag_value in (tag.partition("=") for tag in self.tags)}

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is whatever its pin: role, kind and address."""
        return self.role, self.kind, self.uri


Folders = Mapping[JobSource, Path]
"""Where sources are on this machine."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A source that the platform mounts before the runtime starts; `role` and `uri` are those of the source."""

    role: RoleName
    uri: str
    folder: str
    origin: str = ""
    """What the platform mounted, for messages."""
    label: str = ""
    """The name that the user gave an uploaded folder; empty for none."""


MACHINE_BUILD = "machine"
"""The locked build of PyTorch, or without an NVIDIA GPU that for the CPU, if its index has it. It is chosen where the
environment is built."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The machine that a job runs on: its folders, credentials and tracking.

    `mounts[…].folder`, `left`, `kept` and `handover` may begin with `${NAME}`, an environment variable (also looked up
    in upper case), where only the platform knows the folder.
    """

    work: str
    """The run's own folder: events, outcome and outputs are written below it."""
    cache: str
    """The cache that runs share: data and environments."""
    tracking_uri: str = ""
    """The MLflow address; empty for none."""
    environment: str | None = None
    """An existing Python environment to use in place of the locked one."""
    torch_backend: str | None = None
    """The build of PyTorch to install in place of the locked one: MACHINE_BUILD, or as in uv `cpu`, `cu126`, `auto`."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """By source kind, the file of its secret, or the secret's URL in an Azure key vault."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """By environment variable of the work, where its secret value is: a file, an address in a store of secrets, or
    `${NAME}` for a variable that the platform sets."""
    download_mib: int = 128
    """The memory that downloads may use."""
    cache_gib: float | None = None
    """The limit of data in the cache: the least recently used goes first."""
    mounts: tuple[Mount, ...] = ()
    """Sources that are folders where the job runs."""
    promised: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that repeat parts of the document; the runtime refuses to start if one differs."""
    submission: str = ""
    """The environment variable of the platform's id of this submission, shared by its attempts; empty for none."""
    left: str = ""
    """The folder in which the platform restores the files of an earlier attempt."""
    ways: Mapping[str, str] = field(default_factory=dict)
    """By source kind, how a user gives this platform the credential it needs."""
    cores_option: str = ""
    """How a user gives the job more cores on this platform: `--cpus N`. Empty where the machine decides."""
    tracking_run: str = ""
    """The environment variable of the tracking run that the platform created, and ends, for this run."""
    kept: str = ""
    """The folder that the platform keeps after the run: complete checkpoints are copied to it. Empty for none."""
    kept_as: str = ""
    """The name of that folder for people; it may contain `${NAME}` of environment variables."""
    kept_for: Mapping[str, str] = field(default_factory=dict)
    """By environment variable, the value that it has for the submission that the folder belongs to, perhaps `${NAME}`:
    another submission is refused. Empty where the platform gives each submission a folder of its own."""
    volatile: bool = False
    """Whether everything is lost that the run does not publish: what writes to a place that is not required then is."""
    handover: str = ""
    """The folder that later steps of a pipeline read, perhaps as `${NAME}`: after success it has the newest policy and
    the results (`step_output`). Empty for none."""
    tells_end: bool = False
    """Whether the platform's own program tells the webhook of the end: it knows whether another attempt follows."""
    node_launcher: tuple[str, ...] = ()
    """Before a program, the command that starts it on each node of a job of several, as `make_node_launcher` of a
    scheduler returns; empty if the platform starts the job itself on each."""
    node_rank: str = ""
    """The environment variable with the rank of the node, where the platform starts the job on each; empty for one."""
    node_address: str = ""
    """The host of the first node, or `HOST:PORT`, where the platform starts the job on each; it may contain `${NAME}`.
    """


@dataclass(frozen=True, kw_only=True)
class JobDocument:
    """A resolved job with everything the runtime needs to run it."""

    schema: int
    run: str
    """The run's name."""
    job: str
    """The digest of the platform-neutral job."""
    workload: str
    platform: str
    container_plugins: Mapping[str, str]
    """The modules of the container plugins, by claim (`workload.lerobot-train`, `source.local_path`)."""
    parameters: Mapping[str, Scalar]
    placement: Placement
    sources: tuple[JobSource, ...] = ()
    trainer_args: tuple[str, ...] = ()
    program_lock: str = ""
    """The requirements, with hashes, of the environment of the user's program; of a workload that runs none, those of
    the packages that are added to its own environment. Empty for none."""
    program_python: str = ""
    """The version of Python that they are locked for."""
    program_files: Mapping[str, str] = field(default_factory=dict)
    """The packages of files that they name, by file name: archives of bzip2 in base64."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """What another machine needs to record the run (`robotrain adopt`), and the job file for checkpoints."""

    def to_json(self) -> str:
        """Return the one text form of the document, as `format_document` does."""
        return format_document(self)


class DocumentError(ValueError):
    """Errors in a document, one `path: why` per line."""


def parse_document(text: str) -> JobDocument:
    """Parse a document. Raise DocumentError that lists every error, without the values."""
    try:
        data = parse_json(text)
    except ValueError as error:
        raise DocumentError(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise DocumentError("a job document is a JSON object")
    if data.get("schema") != SCHEMA:
        raise DocumentError(f"schema: this runtime reads {SCHEMA}, the document is {data.get('schema')!r}")
    errors: list[str] = []
    document = convert_json(JobDocument, data, "", errors)
    if errors:
        raise DocumentError("\n".join(errors))
    return typing.cast(JobDocument, document)


def format_document(document: JobDocument) -> str:
    """The one text form: sorted keys, so that equal documents are equal bytes."""
    return json.dumps(collect_fields(document), indent=1, sort_keys=True, default=collect_fields) + "\n"


OMITTED_IF_EMPTY = (
    *("tags", "label", "implied", "program_lock", "program_python", "program_files", "secrets"),
    "login",
    *("volatile", "kept_for", "tells_end"),
    *("node_launcher", "node_rank", "node_address"),
    "nodes",
    "record",
)
"""Fields without which documents had been written before."""


def collect_fields(instance: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name, for JSON: nothing is copied, as `dataclasses.asdict` would."""
    fields = {
        dataclass_field.name: getattr(instance, dataclass_field.name)
        for dataclass_field in dataclasses.fields(instance)
    }
    return {name: field_value for name, field_value in fields.items() if field_value or name not in OMITTED_IF_EMPTY}


_NAME_PATTERN = r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"


class UnsetVariable(LookupError):
    """An environment variable in a folder's name is not set. The message is its name."""


def find_mount(document: JobDocument, source: JobSource) -> Mount | None:
    """Return the mount of a source; None if it must be fetched."""
    mounts = document.placement.mounts
    return next((mount for mount in mounts if (mount.role, mount.uri) == (source.role, source.uri)), None)


def list_fetched_sources(document: JobDocument) -> tuple[JobSource, ...]:
    """Return the sources that are not mounted: those that the runtime fetches."""
    return tuple(source for source in document.sources if find_mount(document, source) is None)


def resolve_folder(text: str) -> Path:
    """Return the folder that a document names, perhaps as `${NAME}/…`. Raise UnsetVariable."""
    match = re.fullmatch(rf"{_NAME_PATTERN}((?:/.*)?)", text, re.DOTALL)
    return Path(_read_variable(match[1]) + match[2]) if match else Path(text)


def expand_variables(template: str) -> str:
    """Replace each `${NAME}` by that environment variable. Raise UnsetVariable."""
    return re.sub(_NAME_PATTERN, lambda match: _read_variable(match[1]), template)


def _read_variable(name: str) -> str:
    """Return a variable's value: a platform may spell its name in upper case."""
    if variable_value := os.environ.get(name) or os.environ.get(name.upper()):
        return variable_value
    raise UnsetVariable(name)


def read_submission_id(document: JobDocument) -> str:
    """Return the platform's id of this submission, shared by its attempts; empty if there is none."""
    return os.environ.get(document.placement.submission, "")


def read_platform_tracking_run(document: JobDocument) -> str:
    """Return the id of the tracking run that the platform created; empty if there is none."""
    return os.environ.get(document.placement.tracking_run, "")
