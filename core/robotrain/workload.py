"""Workloads: what can be run, declared beside the container half that runs it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

DEFAULT_WORKLOAD = "lerobot-train"
"""What a job without a workload means: the common case."""

Makes = Literal["checkpoints", "results", "files"]
"""What a run leaves: checkpoints of a policy that it trains, results of one that it judges, or other files."""

if TYPE_CHECKING:
    from robotrain.job import Job
    from robotrain.problem import Problem


@dataclass(frozen=True)
class Role:
    """An input a workload takes. required: a job without one is refused. many: several are taken, in order. usual: what
    is tried of the workload has one, though some jobs do without.
    """

    required: bool = False
    many: bool = False
    usual: bool = False


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
    half: str
    owned: Mapping[str, str] = field(default_factory=dict)
    check: Callable[["Job"], Iterable["Problem"]] = field(default=lambda job: ())
    targets: tuple[str, ...] = ()
    program: str = "the trainer"
    makes: Makes = "checkpoints"
