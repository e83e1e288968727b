"""A request: the layers of the user's raw values with their origins, and the sources in the order given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from robotrain.config.selection import NO_SURROUNDINGS, Surroundings
from robotrain.config.terraform import TerraformLayer
from robotrain.config.values import Layer, Value


@dataclass(frozen=True, kw_only=True)
class Request:
    """Everything that the command line or a Python call gives, and the layers below it."""

    line: Layer = Layer()
    """What the options, `--set` and `--param`, or a call, give."""
    after_dashes: tuple[Value, ...] = ()
    """The trainer's arguments after `--`: each option replaces the same one of weaker layers."""
    files: tuple[Layer, ...] = ()
    """What describes the job, the strongest first: a step of a pipeline, its job file; or an earlier run."""
    surroundings: Surroundings = NO_SURROUNDINGS
    terraform: TerraformLayer | None = None
    lookups: dict[str, Value | BaseException | None] | None = field(default_factory=dict)
    """What each lookup function found, or how it failed; the trials of a sweep and the steps of a pipeline share it.
    None if nothing is looked up.
    """
    flags: frozenset[str] = frozenset()
    """Every option that belongs before `--`."""
    complete: bool = False
    """Whether omitted values have their declared defaults and nothing is looked up, as in `resubmit`."""
    step: str = ""
    """The step of a pipeline that it is for: its values are changed by `--set STEP.KEY=VALUE`, not by options."""
    name: Value | None = None
    """The name of the run, by which tracking knows the job if nothing else names it."""
    defaults: Mapping[str, Value] = field(default_factory=dict)
    """Of a resubmitted job with other platform settings, its earlier defaults, which the platform's win over; or what a
    program's text says that it needs.
    """
    unread: frozenset[str] = frozenset()
    """The parameters and roles that were given in an invalid way."""
    left_out: frozenset[str] = frozenset()
    """The parameters and settings whose values of the project's files this job cannot use."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The line and what describes the job, the strongest first."""
        return (self.line, *self.files)

    def find(self, key: str) -> Value | None:
        """Return a value of the line, or else of what describes the job."""
        return next((layer.values[key] for layer in self.layers if key in layer.values), None)

    def change_layers(self, change: Callable[[Layer], Layer]) -> Request:
        """Return the request with other layers."""
        return replace(self, line=change(self.line), files=tuple(map(change, self.files)))
