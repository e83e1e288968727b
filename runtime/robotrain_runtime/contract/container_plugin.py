"""Interfaces of container plugins: workloads, source kinds, tracking addresses."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.event import Download, Fault, Note
from robotrain_runtime.contract.failure import Finding

if TYPE_CHECKING:
    from robotrain_runtime.contract.target import ArtifactTarget

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


class TrackingContainerPlugin:
    """Tracking addresses that MLflow alone does not know: the module named `tracking.NAME` in a job document.

    It is imported by the runtime's own Python, in the ENVIRONMENT and in the workload's environment: each function
    imports what it needs.
    """

    ENVIRONMENT: PythonEnvironment
    """Where `look` runs."""

    def takes(self, uri: str) -> bool:
        """Return whether an address is of this kind."""
        raise NotImplementedError

    def look(self, uri: str) -> Iterable[Finding]:
        """Return quickly why a run cannot be tracked there. Runs in the ENVIRONMENT, as a program of its own."""
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


class BatchFetcher:
    """A module that fetches sources of several kinds together, with one scheduler for all of them.

    The container plugins of those kinds name it, as `CARRIER = "package.module"`.
    """

    ENVIRONMENT: PythonEnvironment

    def deliver(
        self,
        sources: Sequence[JobSource],
        halves: Mapping[str, "SourceContainerPlugin"],
        place: ContainerContext,
        described: Mapping[str, Sequence[str]],
    ) -> BatchFetch:
        """Return the fetch of `sources`; nothing is started yet.

        :param halves: the container plugins by kind, which may have more that this fetcher needs.
        :param described: by role, the paths of the few files that describe a source.
        """
        raise NotImplementedError


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


class SourceContainerPlugin:
    """A source kind in the container: a module with these functions. One with a CARRIER needs nothing else."""

    ENVIRONMENT: PythonEnvironment | None = None
    """Built before anything is fetched; None for the environment of the run."""
    CARRIER: str = ""
    """The module that fetches its sources (`BatchFetcher`)."""

    def preflight(self, source: JobSource, place: ContainerContext) -> Iterable[str]:
        """Return quickly why `source` cannot be fetched, or no longer agrees with its pin: one sentence each, the
        remedy on a second line.
        """
        return ()

    def fetch(self, source: JobSource, place: ContainerContext) -> Path:
        """Return the folder with the data of `source`. Raise OSError with a sentence for the user."""
        raise NotImplementedError

    def mounted(self, source: JobSource, place: ContainerContext) -> Iterable[str]:
        """Do the preflight of a mounted source: `source.uri` is the folder that it is in."""
        return self.preflight(source, place)


class WorkloadContainerPlugin:
    """A workload in the container: a module with these names; only ENVIRONMENT, `work` and `tracked` are required."""

    ENVIRONMENT: PythonEnvironment
    DESCRIBED: Mapping[str, Sequence[str]] = {}
    """By role, the paths of the few small files that describe a source."""

    def environment(self, document: JobDocument) -> PythonEnvironment:
        """Return the environment of this very job."""
        return self.ENVIRONMENT

    def compare(self, document: JobDocument, described: Mapping[JobSource, Path]) -> Iterable[str]:
        """Return what is wrong with the sources, judged by the files that describe them, before anything is fetched.

        One sentence each, the remedy on a second line. Sources that cannot be reached are missing from `described`.
        """
        return ()

    def gpus(self, document: JobDocument) -> GpuRequirement | None:
        """Return what the job needs of GPUs; None when it also runs without."""
        return None

    def prepare(
        self, document: JobDocument, data: Mapping[JobSource, Path], digests: Mapping[JobSource, str]
    ) -> DataPreparation | None:
        """Return what is made of the data before the work, such as one dataset of several; None for nothing.

        :param digests: what identifies the data of each source; empty where unknown.
        """
        return None

    def inspect(self, document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
        """Return what is wrong with the data for this workload; read small files only.

        One sentence each, the remedy on a second line.
        """
        return ()

    def work(self, document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
        """Return the command, given where the data is and the run's own folder."""
        raise NotImplementedError

    def checkpoints(self, document: JobDocument, work: Path) -> Path | None:
        """Return the folder of the checkpoints, each under its step; None for a workload that cannot continue from one.

        A checkpoint that an earlier attempt published is put there before `work`, when the machine has none newer.
        """
        return None

    def tracked(self, document: JobDocument) -> TrackingSpec:
        """Return what the tracking run starts with."""
        raise NotImplementedError

    def publishing(self, document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
        """Return what becomes of the checkpoints; called once, when the data is there."""
        return PublishingSpec()

    def targets(self, document: JobDocument, data: Mapping[JobSource, Path]) -> "Iterable[ArtifactTarget]":
        """Return where each checkpoint, or the results, are copied to beside the run's own folder.

        Also called before the data is there, with what there is.
        """
        return ()


class ModelRegistry(Protocol):
    """A registry of models: MLflow's, or what a tracking half brings in its place as `registry(uri)`."""

    def versions(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The number and the tags of each version of a model; none when there is no such model."""

    def create(self, name: str, run_id: str, artifact: str, tags: Mapping[str, str], description: str) -> str:
        """Make an artifact folder of a run the next version of a model: its number."""

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version; one that it has already changes, and is removed where the text is empty."""
