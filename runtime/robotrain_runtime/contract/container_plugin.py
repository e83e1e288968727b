"""Interfaces of container plugins: workloads, source kinds, tracking addresses."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.event import Download, Fault, Note
from robotrain_runtime.contract.failure import Finding

TRACKING_PLUGINS_VARIABLE = "ROBOTRAIN_TRACKING_HALVES"
"""The environment name of the modules that know tracking addresses, as the tracking process finds them."""
PLATFORM_TRACKING_VARIABLE = "ROBOTRAIN_TRACKING_GIVEN"
"""The environment name of the tracking address that the platform itself gave, as a tracking half finds it: where that
acts, MLflow's own name holds the document's.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonEnvironment:
    """The Python environment a workload runs in.

    lock: its hashed requirements file. python: its version, or a range of which any will do, as `3.10-3.14`: then the
    one that is here is taken. gib: the disk it needs. platform: the machine the lock was made for, as `Linux-x86_64`;
    empty for any. holds: what an environment given in its place must hold, each distribution with the beginning of its
    version.
    """

    lock: Path
    python: str
    gib: float
    platform: str = ""
    required_packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCommand:
    """The command that does the work, run in the built environment.

    arguments: after the environment's python. environ: added to the process environment. notes: for the
    person who runs it, told as the work starts: what it goes on from, what it could not use.
    """

    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingSpec:
    """What the tracking run of a workload starts with. machine: whether to record values of the machine too."""

    experiment: str
    run_name: str
    params: Mapping[str, Scalar]
    tags: Mapping[str, str]
    machine: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishingSpec:
    """What becomes of a run's checkpoints, or of its results, beside lying in its own folder.

    to: a folder that each complete one is copied to; empty for none. register: the model whose next version the last
    checkpoint, or the evaluated policy, becomes when the run succeeded; empty for none. description, tags: of that
    version, its lineage among them. evaluated_on: what a policy was evaluated on, by names: tags that come and go with
    its scores. lineage: what a file beside the model says of it in full, as JSON has it; empty for
    no such file.
    """

    to: str = ""
    register: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    evaluated_on: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerContext:
    """Where a source half works. cache: shared by runs. python: that of the environment the half declares, else of the
    run's own; None while it is not built. tracking_uri: an MLflow address, empty for none. say: passes a line on to the
    run's log. credentials, download_mib, ways: as in `Placement`. tracking_environ: added to the environment of a
    program that speaks to the tracking address, where MLflow alone does not know it.
    """

    cache: Path
    python: Path | None = None
    tracking_uri: str = ""
    log_line: Callable[[str], None] = print
    credentials: Mapping[str, str] = field(default_factory=dict)
    download_mib: int = 128
    credential_hints: Mapping[str, str] = field(default_factory=dict)
    tracking_environ: Mapping[str, str] = field(default_factory=dict)


class TrackingContainerPlugin(Protocol):
    """Tracking addresses of a kind that MLflow alone does not know, as `tracking.NAME` among a document's halves: a
    module with these names. It is imported by the runtime's own Python, in the ENVIRONMENT and in that of the workload:
    each function imports what it needs.

    It may have as well: `ui(uri, experiment_id, run_id) -> str`, where a run is looked at; `registry(uri)`, what stands
    in for MLflow's registry of models (`robotrain_runtime.contract.container_plugin.ModelRegistry`).
    """

    ENVIRONMENT: PythonEnvironment
    """Where `look` asks from."""

    def takes(self, uri: str) -> bool:
        """Whether an address is of this kind."""

    def look(self, uri: str) -> Iterable[Finding]:
        """Why a run could not be tracked there; quick. Runs in the ENVIRONMENT, as a program of its own."""

    def address(self, uri: str) -> str:
        """The address as MLflow's client takes it. Runs in the workload's environment, in the tracking process, which
        has the names of the runtime's own environment. Raises OSError with a sentence.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyedSource:
    """What a look at one source found, before anything of it is fetched.

    wrong: what stands in the way, one sentence each, the way out on a second line; fault: whose fault that is. files,
    size: all of it, in bytes; missing: the bytes of it that still have to be fetched. digest: identifies the data: the
    same content under the same names has the same. described: a folder that holds the few files that describe it, at
    their own paths; None when there are none.
    """

    source: JobSource
    problems: tuple[str, ...] = ()
    fault: Fault = ""
    files: int = 0
    size: int = 0
    missing: int = 0
    digest: str = ""
    description_folder: Path | None = None


class BatchFetch(Protocol):
    """Several sources, looked at and then fetched together. `close` may be called at any time, and more than once."""

    def survey(self) -> Sequence[SurveyedSource]:
        """What each source is, in their order; quick, and fetches nothing but what describes them. Raises Failed."""

    def fetch(self, progress: Callable[[Download], None]) -> Mapping[JobSource, Path]:
        """The folder of each source, complete and verified. Raises Failed with a sentence and whose fault it is."""

    def close(self) -> None:
        """Ends what is still going on."""


class BatchFetcher(Protocol):
    """A module that brings sources of several kinds together, with one scheduler over all of them.

    The kinds that it brings name it in their halves, as `CARRIER = "package.module"`.
    """

    ENVIRONMENT: PythonEnvironment

    def deliver(
        self,
        sources: Sequence[JobSource],
        halves: Mapping[str, "SourceContainerPlugin"],
        place: ContainerContext,
        described: Mapping[str, Sequence[str]],
    ) -> BatchFetch:
        """Of `sources`; starts nothing yet. halves: by kind, what may hold more that the carrier asks of its kinds.

        described: by role, the paths of the few files that describe a source.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRequirement:
    """What a job asks of the machine's GPUs. count: at least so many. bf16: whether they must compute in it.

    cuda: the version of CUDA that the locked environment brings, as `12.8`; empty when it brings none.
    """

    count: int
    bf16: bool = False
    cuda: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPreparation:
    """Data made of the data of several sources, once, and kept in the cache.

    sources: those whose place it takes. key: the same when the same would be made; empty when nobody can tell, and it
    is made in the run's own folder. arguments: after the environment's python; the new folder to fill is added as the
    last one. environ: added to the process environment.
    """

    sources: tuple[JobSource, ...]
    key: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


class SourceContainerPlugin(Protocol):
    """A source kind in the container: a module with these functions.

    It may have an `ENVIRONMENT` too, as a workload's half has: it is then built before anything is fetched. One with a
    `CARRIER` needs nothing else: that module brings its sources. What else may be left out: `mounted`.
    """

    def preflight(self, source: JobSource, place: ContainerContext) -> Iterable[str]:
        """What is wrong with reaching `source`, one sentence each, the way out on a second line; changes nothing.

        Quick; where the source is pinned, it also says what no longer agrees with the pin.
        """

    def fetch(self, source: JobSource, place: ContainerContext) -> Path:
        """The folder that holds the data of `source`. Raises OSError with a sentence for the person who runs it."""

    def mounted(self, source: JobSource, place: ContainerContext) -> Iterable[str]:
        """As `preflight`, of what the platform brought to the machine: `source.uri` is the folder that it lies in."""


class WorkloadContainerPlugin(Protocol):
    """A workload in the container: a module with these names.

    What may be left out: `publishing`, when nothing is published; `DESCRIBED` and `compare`; `gpus`, when it asks for
    none; `prepare`, when every source is used as it comes; `checkpoints`, when it cannot go on from one;
    `environment(document) -> Environment`, when every job of it runs in the ENVIRONMENT; and `targets(document, data)`,
    the places (`robotrain_runtime.contract.target.ArtifactTarget`) that each checkpoint, or the results, are copied to beside the run's
    own folder, when there are none: it is also asked before the data is there, with what there is.
    """

    ENVIRONMENT: PythonEnvironment
    DESCRIBED: Mapping[str, Sequence[str]]
    """By role, the paths of the few small files that describe a source."""

    def compare(self, document: JobDocument, described: Mapping[JobSource, Path]) -> Iterable[str]:
        """What is wrong with the sources, told from the files that describe them alone, before anything is fetched.

        One sentence each, and the way out on a second line where there is one. A source that could not be reached is
        not among them.
        """

    def gpus(self, document: JobDocument) -> GpuRequirement | None:
        """What the job asks of GPUs; None when it also runs without."""

    def prepare(
        self, document: JobDocument, data: Mapping[JobSource, Path], digests: Mapping[JobSource, str]
    ) -> DataPreparation | None:
        """What is to be made of the data before work, such as one dataset of several; None for nothing.

        digests: what identifies the data of each source; empty where nobody can tell.
        """

    def inspect(self, document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
        """What is wrong with the data for this workload; reads small files only.

        One sentence each, and the way out on a second line where there is one.
        """

    def work(self, document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
        """The command, given where the data lies and the run's own folder."""

    def checkpoints(self, document: JobDocument, work: Path) -> Path:
        """The folder that checkpoints are saved in, each under its step. One that an earlier attempt published is laid
        there before `work` is asked, when the machine has none newer.
        """

    def tracked(self, document: JobDocument) -> TrackingSpec:
        """What the tracking run starts with."""

    def publishing(self, document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
        """What becomes of the checkpoints; asked once, when the data is there."""


class ModelRegistry(Protocol):
    """A registry of models: MLflow's, or what a tracking half brings in its place as `registry(uri)`."""

    def versions(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The number and the tags of each version of a model; none when there is no such model."""

    def create(self, name: str, run_id: str, artifact: str, tags: Mapping[str, str], description: str) -> str:
        """Make an artifact folder of a run the next version of a model: its number."""

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version; one that it has already changes, and is removed where the text is empty."""
