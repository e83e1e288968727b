"""Workloads: what can be run, declared beside the container half that runs it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

Produces = Literal["checkpoints", "results", "files"]
"""What a run leaves: checkpoints of a policy that it trains, results of one that it judges, or other files."""

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job


@dataclass(frozen=True)
class Role:
    """An input a workload takes. required: a job without one is refused. many: several are taken, in order. usual: what
    is tried of the workload has one, though some jobs do without.
    """

    required: bool = False
    many: bool = False
    typical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The machine that a workload usually wants, where the user asks for no other."""

    cpu: int = 8
    """Processor cores."""
    memory: str = "48Gi"
    """With a unit, a power of 1024: `48Gi`."""
    storage: str = "80Gi"
    """The disk, with a unit."""
    time_limit: str = "12h"
    """How long a run may take, as a number and one of the units s, m, h and d."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The container that a workload runs in, where the user names no other."""

    image: str = (
        "pytorch/pytorch:2.11.0-cuda12.8-cudnn9-runtime"
        "@sha256:eee11b3b3872a8c838e35ef48f08b2d5def2080902c7f666831310ca1a0ef2be"
    )
    """The reference of the image, by digest."""
    environment: str = "robotrain-env"
    """The name under which a workspace that has named environments keeps the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputProfile:
    """What the runs of a workload leave, and what messages call it."""

    folder: str = "checkpoints"
    """The folder, below the run's output folder, that everything lies in."""
    noun: str = "run"
    """What messages call a run: `training`, `evaluation`."""
    complete_file: str = ""
    """The file in the folder that is written last; empty where each checkpoint has its own seal."""
    register_parameter: str = "register_checkpoint"
    """The parameter that names the model to register."""
    resumable: bool = True
    """Whether a run that is started anew goes on from what lies in the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric that the runs of a workload report, and how views show it."""

    name: str
    """As events and tracking have it; with `pattern` a regular expression that stands for all names it matches."""
    pattern: bool = False
    kind: Literal["loss", "validation", "score", "episode", "copy", ""] = ""
    """loss, validation: of training, over its steps. score: what a run is judged by. episode: of one episode alone.
    copy: the value of a score under another name. Empty: none of them.
    """
    label: str = ""
    """In words; empty for the name."""
    brief: str = ""
    """Its name in a summary of one line; a score without one is left out of it."""
    unit: str = ""
    better: Literal["lower", "higher", ""] = ""
    headline: bool = False
    """Whether it is the score that matters most; of several the first that a run has."""
    share: bool = False
    """Whether it is a part of 1, shown in percent; of metrics of one episode, how many of them are 1: `3/4`."""
    low: str = ""
    """The score that bounds it from below with 95 % confidence."""
    high: str = ""
    """The score that bounds it from above with 95 % confidence."""
    count: str = ""
    """The score that says of how many episodes it is a share."""
    note: str = ""
    """A sentence that stands below a table in which it is shown."""

    @property
    def title(self) -> str:
        """What people call it."""
        return self.label or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadProfile:
    """The declarations of a workload that travel with a job: platforms place its runs by them,
    and views present them.
    """

    resources: Resources = Resources()
    container: Container = Container()
    outputs: OutputProfile = OutputProfile()
    metrics: tuple[Metric, ...] = ()
    experiment: str = ""
    """The experiment that runs are tracked in; empty for the workload's name."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A workload, as its plugin declares it.

    parameters: a frozen dataclass of `Annotated[type, Param(…)]`. half: the module that acts in the container.
    program: what takes the options after `--`, in words. owned: those of its options that robotrain sets, with what to
    use instead of passing them there.
    check: its pure rules on a resolved job. targets: the parameters that name a place to write to, a folder or an
    address that a source kind with a `target` takes; `publish_url` is the one for checkpoints, which a platform may
    copy there by itself. makes: what its runs leave, which commands and reports expect of them.
    """

    name: str
    summary: str
    parameters: type
    roles: Mapping[str, Role]
    container_plugin: str
    managed_options: Mapping[str, str] = field(default_factory=dict)
    check: Callable[["Job"], Iterable["Problem"]] = field(default=lambda job: ())
    targets: tuple[str, ...] = ()
    program: str = "the trainer"
    produces: Produces = "checkpoints"
    option_hints: Mapping[str, str] = field(default_factory=dict)
    """Options with which other tools do the same, each with what to use here."""
    default: bool = False
    """Whether a job that names no workload means this one."""
    profile: WorkloadProfile = WorkloadProfile()
    """Its usual machine, container, outputs, metrics and experiment."""
    results_reader: str = ""
    """The module whose `read_results(content)` reads the file that completes the results, for reports:
    see `robotrain.report.evaluation`."""
