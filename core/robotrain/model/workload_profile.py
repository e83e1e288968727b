"""What a workload declares for platforms and views: usual resources, container, outputs and metrics."""

import re
from dataclasses import dataclass
from typing import Literal

Produces = Literal["checkpoints", "results", "files"]
"""What a run produces: checkpoints of a trained policy, results of an evaluated one, or other files."""
SWEEP_NOUN, PIPELINE_NOUN = "sweep", "pipeline"
"""What messages call a run of steps: trials of one job, or jobs linked by files."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The default resources of a workload."""

    cpu: int = 8
    """CPU cores."""
    memory: str = "48Gi"
    """With a binary unit: `48Gi`."""
    storage: str = "80Gi"
    """Disk space, with a unit."""
    time_limit: str = "12h"
    """The maximal duration of a run: a number and s, m, h or d."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """The default container of a workload."""

    image: str = (
        "pytorch/pytorch:2.11.0-cuda12.8-cudnn9-runtime"
        "@sha256:eee11b3b3872a8c838e35ef48f08b2d5def2080902c7f666831310ca1a0ef2be"
    )
    """The image, by digest."""
    environment: str = "robotrain-env"
    """The name of the image's environment on platforms with named environments."""
    interpreters: tuple[str, ...] = ()
    """Paths of Pythons in such images that PATH does not name; the job starts with the first that works."""


@dataclass(frozen=True, kw_only=True)
class OutputProfile:
    """The outputs of a workload's runs, and what messages call them."""

    folder: str = "checkpoints"
    """The folder of the outputs, below the run's output folder."""
    noun: str = "run"
    """What messages call a run: `training`, `evaluation`."""
    complete_file: str = ""
    """The file in the folder that is written last; empty if each checkpoint has its own manifest."""
    register_parameter: str = "register_checkpoint"
    """The parameter that names the model to register."""
    required: bool = False
    """Whether they are all that a run is for: a job that would keep none of them is refused."""
    unknown_with: str = ""
    """The role of a program of the user's with which robotrain does not know the outputs, nor keeps them."""
    resumable: bool = True
    """Whether a restarted run continues from what is in the folder."""
    evaluation: str = ""
    """What evaluates the outputs, as words after `robotrain submit`: `WORKLOAD --policy-run {run} {dataset}`. The
    next commands of a run offer it, with the run for `{run}`, and the options of its sources of a role for `{ROLE}`.
    `{ROLE?}` may be empty, and does not include what the job implies.
    """
    not_evaluated_with: str = ""
    """The parameter with which a run leaves something else than what `evaluation` evaluates."""

    @property
    def has_steps(self) -> bool:
        """Whether a run is a pipeline or a sweep."""
        return self.noun in (SWEEP_NOUN, PIPELINE_NOUN)

    @property
    def is_sweep(self) -> bool:
        """Whether the steps of a run are trials of one job: what one of them reports is not a progress of the whole."""
        return self.noun == SWEEP_NOUN


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric that runs of a workload report, and how it is shown."""

    name: str
    """The name in events and tracking; with `pattern`, a regular expression, to whose groups `label`, `low`, `high` and
    `count` may refer, as `\\g<NAME>`.
    """
    pattern: bool = False
    kind: Literal["loss", "curve", "validation", "score", "episode", "copy", ""] = ""
    """loss, validation: a training curve. curve: the main one if it is a reward. score: a result of the run. episode: a
    value of one episode. copy: a score under another name.
    """
    label: str = ""
    """The label in reports; by default the name."""
    brief: str = ""
    """The label in a one-line summary; a score without one is not part of it."""
    unit: str = ""
    better: Literal["lower", "higher", ""] = ""
    headline: bool = False
    """Whether it is the main score; of several, the first that a run has."""
    share: bool = False
    """Whether it is a share between 0 and 1, shown in percent; for an episode's metric, as a count: `3/4`."""
    low: str = ""
    """The score that is its lower bound at 95 % confidence."""
    high: str = ""
    """The score that is its upper bound at 95 % confidence."""
    count: str = ""
    """The score that is the number of episodes behind it."""
    note: str = ""
    """A sentence below the tables that show it."""

    @property
    def title(self) -> str:
        """The label, or else the name."""
        return self.label or self.name

    def matches(self, name: str) -> bool:
        """Return whether it is the metric of this name."""
        return bool(re.fullmatch(self.name, name)) if self.pattern else self.name == name

    @property
    def is_loss(self) -> bool:
        """Whether it is the loss of training, or that on held-out data."""
        return self.kind in ("loss", "validation")

    @property
    def direction(self) -> str:
        """Which values are better, `lower` or `higher`: of a loss lower, unless it says another; empty if unknown."""
        return self.better or ("lower" if self.is_loss else "")


@dataclass(frozen=True, kw_only=True)
class WorkloadProfile:
    """What a workload declares for platforms and views; it is part of each job."""

    resources: Resources = Resources()
    container: Container = Container()
    outputs: OutputProfile = OutputProfile()
    metrics: tuple[Metric, ...] = ()
    experiment: str = ""
    """The tracking experiment; by default the workload's name."""
