"""Interfaces of container plugins: workloads, source kinds, publish targets, tracking addresses."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from robotrain_runtime.contract import files
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.event import Download, Fault, Note
from robotrain_runtime.contract.problem import Problem, Suggestion

EXTENDED = re.compile(r"^-r (\S+)\n", re.MULTILINE)
TRACKING_PLUGINS_VARIABLE = "ROBOTRAIN_TRACKING_HALVES"
"""The environment variable of the modules of tracking addresses, for the tracking process."""
PLATFORM_TRACKING_VARIABLE = "ROBOTRAIN_TRACKING_GIVEN"
"""The environment variable of the platform's own tracking address; MLflow's variable holds the document's."""


PROGRAM_PYTHON_VARIABLE = "ROBOTRAIN_PROGRAM_PYTHON"
"""The environment variable of the work with the interpreter of the program's environment, if it has one."""
PREPARED_FILE = "prepared.json"
"""The list of the files in the cache's folder of a preparation."""
RUN_PYTHON_VARIABLE = "ROBOTRAIN_RUN_PYTHON"
"""The environment variable of a preparation with the interpreter of the run's environment."""


@dataclass(frozen=True, kw_only=True)
class PythonEnvironment:
    """A locked Python environment."""

    lock: Path
    """Its requirements file with hashes, which may begin with another one: `-r train.txt` (`read_lock`)."""
    python: str
    """A version, or a range such as `3.10-3.14`, of which any on the machine will do."""
    gib: float
    """The disk space it needs."""
    platform: str = ""
    """The machine that the lock is for, such as `Linux-x86_64`; empty for any."""
    required_packages: Mapping[str, str] = field(default_factory=dict)
    """The distributions, with a prefix of the version, that a user's own environment must have."""


def read_lock(lock: Path) -> str:
    """Return the text of a lock, with that of the lock beside it which it begins with. Raise OSError."""
    return EXTENDED.sub(lambda match: read_lock(lock.with_name(match[1])), lock.read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class WorkCommand:
    """The command that does the work in the run's environment."""

    arguments: tuple[str, ...]
    """The arguments of the environment's Python."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to the process environment."""
    notes: tuple[Note, ...] = ()
    """Messages to the user at the start: what the work resumes from, what it could not use."""
    cache_folders: tuple[Path, ...] = ()
    """Folders of the cache that it reads, beside the data: they stay there until the run ends."""
    takes_over: bool = True
    """Of a command that warms up: whether it does the work itself, with the arguments that it reads."""
    joins_tracking: bool = False
    """Whether it logs to MLflow itself: it is started with the variables of the run that tracks the job, if that has
    started within some seconds.
    """


@dataclass(frozen=True, kw_only=True)
class TrackingSpec:
    """The start of a workload's tracking run; `machine` says whether to record system metrics."""

    experiment: str
    run_name: str
    params: Mapping[str, Scalar]
    tags: Mapping[str, str]
    machine: bool = True


@dataclass(frozen=True, kw_only=True)
class PublishingSpec:
    """What is published of a run's checkpoints or results."""

    to: str = ""
    """A folder that each complete one is copied to; empty for none."""
    register: str = ""
    """The model to register the last checkpoint or the evaluated policy as, if the run succeeds; empty for none."""
    description: str = ""
    """Of the registered version."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the registered version."""
    evaluated_on: Mapping[str, str] = field(default_factory=dict)
    """What the policy was evaluated on: tags that are replaced with its scores."""
    lineage: Mapping[str, object] = field(default_factory=dict)
    """The content of the lineage file beside the model, as JSON; empty for no file."""
    artifact_folders: Mapping[str, str] = field(default_factory=dict)
    """By a pattern of a checkpoint's files: the folder among the tracking run's artifacts that they are copied to, too.
    The first pattern is that of the checkpoint's own file.
    """
    last_artifact_folders: Mapping[str, str] = field(default_factory=dict)
    """The same for the last checkpoint, once the run has succeeded."""
    hands_over: str = ""
    """The checkpoints that later steps of a pipeline get beside the newest one, as `checkpoint.select_steps` takes it;
    empty for none.
    """
    saved_steps: Sequence[int] = ()
    """The steps of the checkpoints that the work saves, if they are known: those that are not handed over are named."""
    describes: Mapping[str, object] = field(default_factory=dict)
    """The fields of a `ModelDescription`, for targets that show one to people; empty for none."""
    path_files: Mapping[str, str | None] = field(default_factory=dict)
    """By a pattern of a checkpoint's JSON files: what stands there in place of absolute paths of the machine, where
    they are published to people who have another one.
    """


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """What people and search engines read about a published model."""

    title: str
    metadata: Mapping[str, object] = field(default_factory=dict)
    """Names and values as the Hugging Face Hub has them, such as `library_name`; empty values are left out."""
    sections: Sequence[tuple[str, str]] = ()
    """Headings and texts, in Markdown."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """The metrics that say how good the model is: each name, and how it is called."""
    is_resumable: bool = True
    """Whether a training can continue from the checkpoint."""


@dataclass(frozen=True, kw_only=True)
class ContainerContext:
    """What container plugins are called with; fields without a description are as in `Placement`."""

    cache: Path
    python: Path | None = None
    """The interpreter of the plugin's environment, else of the run's; None if it is not built."""
    tracking_uri: str = ""
    log_line: Callable[[str], None] = print
    """Writes a line to the run's log."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    download_mib: int = 128
    credential_hints: Mapping[str, str] = field(default_factory=dict)
    """By source kind, how a user gives access (`Placement.ways`)."""
    tracking_environ: Mapping[str, str] = field(default_factory=dict)
    """Variables for programs that use a tracking address which MLflow alone does not know."""
    takes_any_policy: bool = False
    """As in `WorkloadContainerPlugin`."""
    needed_files: Mapping[JobSource, Sequence[str]] = field(default_factory=dict)
    """By source, patterns of the files that are fetched (`WorkloadContainerPlugin.needed_files`); of others all."""
    describe_checkpoint: Callable[[int], ModelDescription | None] = lambda step: None
    """Returns a description of the checkpoint of a step, for a target that shows one to people; None for none."""
    path_files: Mapping[str, str | None] = field(default_factory=dict)
    """As in `PublishingSpec`."""


class TrackingContainerPlugin:
    """Tracking addresses that MLflow alone does not know: the module named `tracking.NAME` in a job document.

    It is imported in several environments: each function imports what it needs.
    """

    def accepts(self, uri: str) -> bool:
        """Return whether an address is of this kind."""
        raise NotImplementedError

    def preflight_address(self, uri: str) -> Iterable[Problem]:
        """Return quickly why a run cannot be tracked there. Runs in the runtime, in its data environment."""
        return ()

    def address(self, uri: str) -> str:
        """Return the address as MLflow's client takes it. Raise OSError with a sentence.

        Runs in the workload's environment, in the tracking process, with the runtime's environment variables.
        """
        return uri

    def ui(self, uri: str, experiment_id: str, run_id: str) -> str:
        """Return the address of a run's page."""
        return uri

    def registry(self, uri: str) -> "ModelRegistry | None":
        """Return what replaces MLflow's registry of models; None for MLflow's own."""
        return None


@dataclass(frozen=True, kw_only=True)
class SurveyedSource:
    """A survey of a source before it is fetched."""

    source: JobSource
    problems: tuple[Problem | str, ...] = ()
    """Why it cannot be fetched."""
    fault: Fault = ""
    """The fault of the problems."""
    files: int = 0
    size: int = 0
    """Bytes in total."""
    missing: int = 0
    """Bytes that still have to be fetched."""
    digest: str = ""
    """Identifies the content and its names."""
    description_folder: Path | None = None
    """A folder with the few files that describe the data, at their paths; None for none."""


class BatchFetch(Protocol):
    """The fetch of several sources. `close` may be called at any time, and more than once."""

    def survey(self) -> Sequence[SurveyedSource]:
        """Return a survey of each source, in order, fetching only what describes it. Raise JobFailed."""

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        """Return the folder of each source, complete and verified. Raise JobFailed with a fault."""

    def close(self) -> None:
        """End everything that is still running."""


class BatchFetcher:
    """A module that fetches sources of several kinds together; their plugins name it: `CARRIER = "package.module"`."""

    ENVIRONMENT: PythonEnvironment

    def deliver(
        self,
        sources: Sequence[JobSource],
        container_plugins: Mapping[str, "SourceContainerPlugin"],
        context: ContainerContext,
        described: Mapping[str, Sequence[str]],
    ) -> BatchFetch:
        """Return the fetch of `sources`; nothing is started yet.

        :param container_plugins: the container plugins by kind, which may have more that this fetcher needs.
        :param described: by role, the paths of the few files that describe a source.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class GpuRequirement:
    """The GPUs that a job needs."""

    count: int
    """At least so many; 0 for a job that also runs without, whose driver counts where there is one."""
    bf16: bool = False
    """Whether they must support bf16."""
    cuda: str = ""
    """The CUDA version of the locked environment, such as `12.8`; empty for none."""
    without: Suggestion = Suggestion("")
    """The option with which the job runs on a machine that has no GPU; empty for none."""


@dataclass(frozen=True, kw_only=True)
class DataPreparation:
    """A command that prepares data of sources, once, into the cache."""

    sources: tuple[JobSource, ...]
    """The sources that the prepared data replaces."""
    key: str
    """Identifies the prepared data in the cache; empty to prepare it in the run's own folder."""
    arguments: tuple[str, ...]
    """The arguments of the environment's Python; the new folder to fill is added as the last one."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Added to the process environment, as `RUN_PYTHON_VARIABLE` is."""
    is_staged: bool = False
    """Whether it is only made where inputs are fetched for another machine: the work finds out whether it was."""
    environment: PythonEnvironment | None = None
    """That of the command, built when the cache does not have the data yet; None for the environment of the run."""


def get_prepared_folder(document: JobDocument, key: str) -> Path:
    """Return the folder of the cache for what a job prepares under a key."""
    return Path(document.placement.cache, "prepared", document.workload, key)


def find_prepared_files(document: JobDocument, key: str) -> Path | None:
    """Return the files that were prepared under a key; None if they were not, or not completely."""
    return files.find_complete_files(get_prepared_folder(document, key), PREPARED_FILE)


class SourceContainerPlugin:
    """A source kind in the container: a module with these functions. One with a CARRIER needs nothing else."""

    ENVIRONMENT: PythonEnvironment | None = None
    """Built before anything is fetched; None for the environment of the run."""
    CARRIER: str = ""
    """The module that fetches its sources (`BatchFetcher`)."""

    def preflight(self, source: JobSource, context: ContainerContext) -> Iterable[Problem | str]:
        """Return quickly why `source` cannot be fetched as pinned."""
        return ()

    def fetch(self, source: JobSource, context: ContainerContext) -> Path:
        """Return the folder with the data of `source`. Raise OSError with a sentence for the user."""
        raise NotImplementedError

    def mounted(self, source: JobSource, context: ContainerContext) -> Iterable[Problem | str]:
        """Do the preflight of a mounted source: `source.uri` is the folder that it is in."""
        return self.preflight(source, context)


@dataclass(frozen=True, kw_only=True)
class ArtifactTarget:
    """A place that artifacts are published to."""

    to: str
    """An absolute folder, or an address that a container plugin writes to."""
    keep_last: int | None = None
    """How many checkpoints of the run stay there; None for all."""
    saves_step: Callable[[int], bool] | None = None
    """Returns whether the run may save a checkpoint of a step; None if unknown."""
    suggestion: str = ""
    """What to type for another place."""


class WorkloadContainerPlugin:
    """A workload in the container: a module with these names; only ENVIRONMENT, `work` and `tracked` are required."""

    ENVIRONMENT: PythonEnvironment
    RUNS_PROGRAM: bool = False
    """Whether the work starts a program of the user's, in an environment of its own: `Placement.environment` and
    `torch_backend` are then about that one, and the run's environment is always the locked one. What the work prints is
    never an event: it sends its own with `emit_event`.
    """
    PROGRAM_ENVIRONMENT: PythonEnvironment | None = None
    """The program's environment unless a job has another one: what `doctor` and `init` ask about."""
    TAKES_ANY_POLICY: bool = False
    """Whether a policy may be any files; else it has `config.json` and `model.safetensors`."""
    DESCRIBED: Mapping[str, Sequence[str]] = {}
    """By role, the paths of the few small files that describe a source."""
    MODEL_TAGS: Mapping[str, Sequence[str]] = {}
    """By role, the tags of a registered model that are read; its properties count as tags."""

    def environment(self, document: JobDocument) -> PythonEnvironment:
        """Return the environment of this very job."""
        return self.ENVIRONMENT

    def identifying_files(self, document: JobDocument) -> Mapping[str, Sequence[str]]:
        """Return by role the files of which a source of this very job has at least one."""
        return self.DESCRIBED

    def takes_any_policy(self, document: JobDocument) -> bool:
        """Return whether a policy of this very job may be any files, or a folder of several checkpoints."""
        return self.TAKES_ANY_POLICY

    def program_environment(self, document: JobDocument, work: Path) -> PythonEnvironment | None:
        """Return the environment of the user's program; None for none.

        It is built after the run's own, while data is fetched, and the work gets its interpreter as
        `PROGRAM_PYTHON_VARIABLE`. Only a plugin that RUNS_PROGRAM has one. A lock that the document contains is
        written to `work`, the run's own folder, or a temporary one while the job is only checked.
        """
        return None

    def compare(self, document: JobDocument, described: Mapping[JobSource, Path]) -> Iterable[Problem | str]:
        """Return what is wrong with the sources, judged by the files that describe them, before anything is fetched.

        One finding each (`make_data_problem`), or its sentence alone. Sources that cannot be reached are missing from
        `described`.
        """
        return ()

    def list_warnings(self, document: JobDocument, described: Mapping[JobSource, Path]) -> Iterable[str]:
        """Return what works, but is probably not what the user means, judged as in `compare`: one sentence each.

        It is asked on the submit side only; the notes of `work` tell whoever reads the run.
        """
        return ()

    def implied_sources(
        self, document: JobDocument, described: Mapping[JobSource, Path]
    ) -> Mapping[str, Sequence[str]]:
        """Return the texts of further sources that the job needs, by role, as a user would type them.

        It judges by the files that describe the given sources, and leaves out what the document's sources already
        bring. Sources that cannot be read from where it is asked are missing from `described`: what only they can tell
        to be needed is named, and fetched.
        """
        return {}

    def needed_files(self, document: JobDocument, source: JobSource) -> Sequence[str]:
        """Return patterns of the files that the work reads of a source, such as `*.json`; empty for all.

        `*` also stands for `/`. The rest is not downloaded, if the source's kind can leave out files.
        """
        return ()

    def describe_output(self, document: JobDocument, described: Mapping[JobSource, Path], folder: Path) -> None:
        """Write the files that describe the policy which the job will train, as far as the sources' descriptions tell.

        Before a pipeline is submitted, `compare` of the workload that reads the policy judges them.
        """

    def gpus(self, document: JobDocument) -> GpuRequirement | None:
        """Return the GPUs that the job requires; None if it also runs without."""
        return None

    def prepare(
        self, document: JobDocument, data: Mapping[JobSource, Path], digests: Mapping[JobSource, str]
    ) -> DataPreparation | None:
        """Return what is made of the data before the work, such as one dataset of several; None for nothing.

        `digests` identify the data of each source; empty if unknown.
        """
        return None

    def inspect(self, document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[Problem | str]:
        """Return what is wrong with the data, reading small files only: as in `compare`."""
        return ()

    def work(self, document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
        """Return the command, given where the data is and the run's own folder."""
        raise NotImplementedError

    def warm_up(self, document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand | None:
        """Return a command that gets ready for the work while data is fetched; None for none.

        It ends with the exit code 4 and a line that says why if the work would fail. Else it waits for a line on its
        standard input, the arguments of `work` as a JSON list, and does the work. `described` is as in `compare`.
        """
        return None

    def check_command(
        self, document: JobDocument, described: Mapping[JobSource, Path], work: Path
    ) -> WorkCommand | None:
        """Return a command that asks the work's own program whether it accepts the job's options; None for none.

        It runs on the submit side, after `compare` found nothing wrong, in a Python that has the locked versions of the
        environment's `required_packages`, without the network and without secrets. It prints verdicts (`emit_verdict`)
        and ends with the exit code 0 whatever they are; with another one they are not kept for the next time.
        `described` is as in `compare`; `work` is an empty folder. The package of the module behind `-m` need not be one
        that a job carries.
        """
        return None

    def checkpoints(self, document: JobDocument, work: Path) -> Path | None:
        """Return the folder of the checkpoints, each under its step; None for a workload that cannot continue from one.

        A checkpoint that an earlier attempt published is put there before `work`, when the machine has none newer.
        """
        return None

    def tracked(self, document: JobDocument) -> TrackingSpec:
        """Return the initial experiment, name, parameters and tags of the tracking run."""
        raise NotImplementedError

    def publishing(self, document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
        """Return how checkpoints are published; called once, when the data is available."""
        return PublishingSpec()

    def targets(self, document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[ArtifactTarget]:
        """Return where checkpoints or results are copied to; also called before all data is fetched."""
        return ()


class ModelRegistry(Protocol):
    """A registry of models: MLflow's, or that of a container plugin (`registry(uri)`)."""

    def versions(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield the number and tags of each version of a model; none if it does not exist."""

    def create(self, name: str, run_id: str, artifact: str, tags: Mapping[str, str], description: str) -> str:
        """Register an artifact folder of a run as the next version of a model; return its number."""

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version; a tag with an empty value is removed."""
