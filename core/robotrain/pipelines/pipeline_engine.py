"""The base of pipeline platforms: a pipeline as one run, for `logs`, `outputs`, `download` and `register`."""

import dataclasses
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract import event
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Registered

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform import Platform, PlatformEngine, PlatformPlans
from robotrain.model.platform_features import PipelineRuns
from robotrain.model.reference import Reference
from robotrain.model.run import Output, Status, StepStatus
from robotrain.model.workload_profile import Produces
from robotrain.plugins.manager import Plugins

make_problem = Messages(__file__)

REFERENCE_KEY = "pipeline"
"""The key of a reference with the name of the pipeline's run."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SentStep:
    """A step that its platform has."""

    name: str
    reference: Reference
    produces: Produces


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepJob:
    """The job of a step, for reports."""

    workload: str
    sources: tuple[JobSource, ...]
    """Without those that other steps make, where no run of a step names them."""


class PipelineEngine(PlatformPlans, PlatformEngine, PipelineRuns):
    """What acts for the platform of a pipeline. A reference stands for the whole of it."""

    follow_seconds = 0.5
    """How long a follower waits until it looks for steps that have begun."""

    def __init__(self, platform: Platform, step_platform: Platform, plugins: Plugins) -> None:
        super().__init__(platform)
        self.step_platform = step_platform
        """The platform itself, for what is about one step."""
        self._plugins = plugins

    def status(self, reference: Reference) -> Status:
        """Return the status of the whole. Raise as `query_pipeline`."""
        return self.query_pipeline(reference)[0]

    def list_steps(self, reference: Reference) -> Iterable[StepStatus]:
        """Return the steps in the plan's order. Raise as `query_pipeline`."""
        return self.query_pipeline(reference)[1]

    def query_pipeline(self, reference: Reference) -> tuple[Status, list[StepStatus]]:
        """Return the status of the whole, and the steps in the plan's order. Raise RunGone."""
        raise NotImplementedError

    def list_sent(self, reference: Reference) -> list[SentStep]:
        """Return the steps with jobs that the platform has, in the plan's order."""
        raise NotImplementedError

    def list_jobs(self, reference: Reference) -> Iterator[StepJob]:
        """Yield the jobs of the steps that have begun."""
        raise NotImplementedError

    def has_log(self, step: StepStatus) -> bool:
        """Return whether the step has begun to write a log."""
        raise NotImplementedError

    def read_step_log(self, step: StepStatus, reference: Reference, follow: bool, tail: int | None) -> Iterator[str]:
        """Yield the lines of one step's log, as its platform does."""
        raise NotImplementedError

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Yield the logs of all steps, one after the other; each line begins with `[STEP]`, each event names it."""
        if follow:
            yield from _StepLogFollower(self, reference, tail).follow()
            return
        steps = self.list_steps(reference)
        lines = (line for step in steps for line in self.read_log(step, reference))
        yield from lines if tail is None else list(lines)[-tail:] if tail else ()

    def read_log(
        self, step: StepStatus, reference: Reference, follow: bool = False, tail: int | None = None
    ) -> Iterator[str]:
        """Yield the log of one step, each line with the step's name."""
        for line in self.read_step_log(step, reference, follow, tail):
            is_event = line.startswith(event.PREFIX)
            yield event.add_pipeline_step(line, step.name) if is_event else f"[{step.name}] {line}"

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """Return the outputs of all steps, below the steps' names: checkpoints first."""
        outputs = [
            dataclasses.replace(output, name=f"{step.name}/{output.name}")
            for step in self.list_sent(reference)
            for output in self.step_platform.engine.outputs(step.reference)
        ]
        return sorted(outputs, key=lambda output: output.kind != "checkpoint")

    def download(self, reference: Reference, output: Output, to: Path) -> Sequence[str] | None:
        """Copy one output of a step, and return what of it was left out. Raise Rejected."""
        name, _, inner_path = output.name.partition("/")
        step = next(sent_step for sent_step in self.list_sent(reference) if sent_step.name == name)
        return self.step_platform.engine.download(step.reference, dataclasses.replace(output, name=inner_path), to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register the policy of the last step that has one. Raise Rejected."""
        sent_steps = reversed(self.list_sent(reference))
        producer = next(
            (sent_step for sent_step in sent_steps if sent_step.produces in ("checkpoints", "results")), None
        )
        if producer is None:
            raise Rejected([make_problem("step-output-missing.nothing-to-register")])
        return self.step_platform.engine.register(producer.reference, name, step)


ENDED_SECONDS = 0.1
"""Seconds between looks at whether the logs of a pipeline that has ended are read to their ends."""


class _StepLogFollower:
    """Lines of the logs of all steps as they come, until the pipeline has ended."""

    def __init__(self, platform: PipelineEngine, reference: Reference, tail: int | None) -> None:
        self.step_platform, self._reference, self._tail = platform, reference, tail
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._readers: dict[str, threading.Thread] = {}

    def follow(self) -> Iterator[str]:
        """Yield the lines."""
        has_ended = False
        while True:
            if not has_ended:
                status, step_statuses = self.step_platform.query_pipeline(self._reference)
                has_ended = status.finished
                steps = {step_status.name: step_status for step_status in step_statuses}
                with_log = {name for name, step in steps.items() if self.step_platform.has_log(step)}
            for name in steps:
                if name in with_log and name not in self._readers and not self._is_after_unread(steps[name], steps):
                    self._start(steps[name])
            yield from self._drain_lines(ENDED_SECONDS if has_ended else self.step_platform.follow_seconds)
            unread_steps = with_log - self._readers.keys()
            if has_ended and not unread_steps and not any(reader.is_alive() for reader in self._readers.values()):
                yield from self._drain_lines(0.0)
                return

    def _is_after_unread(self, step: StepStatus, steps: Mapping[str, StepStatus]) -> bool:
        """Return whether the log of a step that ended before this one began is not read to its end."""
        ended_steps = [
            step_status
            for step_status in steps.values()
            if step_status.ended and step_status.ended <= (step.started or 0.0)
        ]
        earlier_names = [step_status.name for step_status in ended_steps if self.step_platform.has_log(step_status)]
        return any(name not in self._readers or self._readers[name].is_alive() for name in earlier_names)

    def _start(self, step: StepStatus) -> None:
        def read() -> None:
            try:
                for line in self.step_platform.read_log(step, self._reference, follow=True, tail=self._tail):
                    self._lines.put(line)
            except Exception as error:  # whatever a plugin raises: the other steps are followed
                self._lines.put(f"[{self.step_platform.platform.name}] the log of step {step.name} broke off: {error}")

        self._readers[step.name] = threading.Thread(target=read, daemon=True)
        self._readers[step.name].start()

    def _drain_lines(self, seconds: float) -> Iterator[str]:
        deadline = time.monotonic() + seconds
        while True:
            try:
                yield self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return
