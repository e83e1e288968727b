"""Tests of a platform that runs a pipeline or a sweep as one submission."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from robotrain_runtime.contract.document import Dimension

from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep, SweepSpec
from robotrain.model.plan import Plan
from robotrain.testing.harness import report
from robotrain.testing.platform_bench import Bench, PlatformTestBase


class PipelineTests(PlatformTestBase):
    """`render_pipeline`, `render_sweep` and `query_pipeline`."""

    def test_pipeline_is_one_submission(self, bench: Bench) -> Iterator[str]:
        """A pipeline is rendered with all its steps, reproducibly; it is found again, and its steps are listed."""
        if not bench.can.feature("native_dag"):
            pytest.skip(f"{bench.name} does not declare native_dag")
        job, run, parts = _render_arguments(bench)
        steps = [
            PipelineStep(name="first", job=job, hands_over=True, takes={}, **parts),
            PipelineStep(name="second", job=job, needs=("first",), takes={}, **parts),
        ]
        names = {step.name for step in steps}
        render = functools.partial(bench.platform.render_pipeline, steps, job, f"{run}-kit", {})
        yield from _submit_engine_plan(bench, "a pipeline", render, names)

    def test_sweep_is_one_submission(self, bench: Bench) -> Iterator[str]:
        """A sweep is rendered as one submission, reproducibly; it is found again, and its trials are listed."""
        if not bench.can.feature("native_sweep"):
            pytest.skip(f"{bench.name} does not declare native_sweep")
        job, run, parts = _render_arguments(bench)
        numbers = [(one, n) for one, n in job.parameters if isinstance(n, int | float) and not isinstance(n, bool)]
        if not numbers:
            pytest.skip("the job has no number to vary")
        name, value = numbers[0]
        space, trials = {name: Dimension(choices=(value, value + 1))}, ("trial-1", "trial-2")
        compared: dict[str, Any] = {"sampler": "grid", "at_most": 1, "metric": "loss", "better": "lower"}
        sweep = SweepSpec(jobs=(job,), trials=trials, space=space, **compared, **parts)
        if obstacle := bench.platform.find_sweep_obstacle(sweep):
            yield f"`find_sweep_obstacle` names one for a plain sweep: {obstacle}"
            return
        render = functools.partial(bench.platform.render_sweep, sweep, job, f"{run}-kit-sweep")
        yield from _submit_engine_plan(bench, "a sweep", render, {*trials})


def _render_arguments(bench: Bench) -> tuple[Job, str, dict[str, Any]]:
    """Render a plan; return the job, the run, and by name the other arguments that `render` was given."""
    bench.render_plan()
    job, settings, run, payload, plugins = bench.arguments
    return job, run, {"settings": settings, "payload": payload, "container_plugins": plugins}


def _submit_engine_plan(bench: Bench, what: str, render: Callable[[], Plan], names: set[str]) -> Iterator[str]:
    """Submit a plan of several runs, and yield what is wrong with it, `find`, the count, the status or the steps."""
    plan = render()
    if plan.files != render().files:
        yield f"{what} is rendered to other files the second time"
    if bench.platform.find(plan) is not None:
        yield f"`find` returned a run for {what} that was not submitted"
    reference = bench.platform.submit(plan)
    yield from bench.compare_count(plan.run, 1)
    if bench.platform.find(plan) is None:
        yield f"`find` returned None for {what} that was submitted"
    status, listed = bench.platform.query_pipeline(reference)
    unknown = sorted({step.name for step in listed} - names)
    yield from report(f"the steps of {what} are {', '.join(sorted(names))}; not", unknown)
    if status.finished:
        yield f"the status of {what} that was just submitted is final"
