"""Tests of a platform: pipelines and jobs of several nodes, of which an engine does what is declared."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from robotrain.errors import Unanswered
from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Plan
from robotrain.model.platform_features import PipelinePlans, PipelineRuns
from robotrain.run_folder.scheduler import SchedulerEngine
from robotrain.run_folder.scheduler_settings import fill_settings
from robotrain.run_folder.submit import FoundJob
from robotrain.testing.harness import report
from robotrain.testing.platform_bench import Bench, PlatformTestBase
from robotrain.testing.submit_cuts import SubmitScript

STEP_CUTS = (("", "send "), ("printf '{", ""), ("release ", ""))
"""Lines of a submit before and after which it is cut: the first step is sent; all are; and that is recorded."""


class EngineFeatureTests(PlatformTestBase):
    """`render_pipeline`, `query_pipeline`, and what a scheduler is asked for them and for nodes."""

    def test_pipeline_is_one_submission(self, bench: Bench) -> Iterator[str]:
        """A pipeline is rendered with all its steps, reproducibly; it is found again, and its steps are listed."""
        render = _require_pipeline(bench)
        plan = render("kit")
        if plan.files != render("kit").files:
            yield "a pipeline is rendered to other files the second time"
        if bench.engine.find(plan) is not None:
            yield "`find` returned a run for a pipeline that was not submitted"
        reference = bench.engine.submit(plan)
        yield from bench.compare_count(plan.run, 1)
        if bench.engine.find(plan) is None:
            yield "`find` returned None for a pipeline that was submitted"
        status, step_statuses = bench.platform.get_engine_for(PipelineRuns).query_pipeline(reference)
        unknown = sorted({step.name for step in step_statuses} - {"first", "second"})
        yield from report("the steps of a pipeline are first and second; not", unknown)
        lost_steps = (step.name for step in step_statuses if step.state == "lost")
        yield from report("the engine does not know these of a pipeline that was just submitted", lost_steps)
        if status.finished:
            yield "the status of a pipeline that was just submitted is final"

    def test_steps_of_a_scheduler_wait(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        """A step waits for those that it needs, and the first ones until all are sent, wherever a submit was cut."""
        render, engine = _require_pipeline(bench), bench.require_scheduler()
        for number, (cut_before, cut_after) in enumerate(STEP_CUTS, 1):
            plan = render(f"kit-cut-{number}")
            with SubmitScript(monkeypatch).kill_at(before=cut_before, after=cut_after), contextlib.suppress(Unanswered):
                engine.submit(plan)
            jobs_by_step = _list_jobs(engine, plan)
            if number == len(STEP_CUTS) and not all(queued_job.is_held for queued_job in jobs_by_step["first"]):
                yield (
                    "native_dag is declared yes, but the first step can begin before all steps are sent: set"
                    " `hold_words`, and `is_held` of what `search_jobs` returns"
                )
            with contextlib.suppress(Unanswered):  # of steps that cannot be released
                if not engine.find(plan):
                    engine.submit(plan)
            jobs_by_step = _list_jobs(engine, plan)
            for step, jobs in jobs_by_step.items():
                if len(jobs) != 1:
                    yield (
                        f"after a submit that was cut, the engine has {len(jobs)} jobs of step {step}, not 1: set"
                        " `is_waiting` and `needs` of what `search_jobs` returns, and return every job with its mark"
                    )
            if any(queued_job.is_held for queued_job in jobs_by_step["first"]):
                yield "native_dag is declared yes, but the first step is never released: set `release_command`"
        first_jobs = {queued_job.job for queued_job in jobs_by_step["first"]}
        if not all(first_jobs <= {*queued_job.needs} for queued_job in jobs_by_step["second"]):
            yield (
                "native_dag is declared yes, but step second does not wait for step first: set `dependency_words` (and"
                " `job_separator`), and `needs` of what `search_jobs` returns"
            )

    @pytest.mark.parametrize(("name", "least", "nothing"), [("time", "1s", "0s"), ("memory", "1K", "0K")])
    def test_least_request_is_not_rounded_to_nothing(
        self, bench: Bench, name: str, least: str, nothing: str
    ) -> Iterator[str]:
        """A scheduler that counts minutes and megabytes may take a request for none, which is often no limit."""
        engine = bench.require_scheduler()
        if bench.run_command("render", "--json", *bench.complete_words(f"--{name}={least}")).exit_code:
            return
        job, settings = bench.arguments[:2]
        (scheduler_job,) = engine.load_spec(bench.plans[-1]).jobs
        variants = (dataclasses.replace(settings, **{name: text}) for text in (least, nothing))
        least_request, none = (_format_request(engine, job, variant, scheduler_job) for variant in variants)
        if least_request == none:
            yield f"--{name} {least} asks the scheduler for {nothing}: refuse it in `check`, or round up"

    def test_several_nodes_are_asked_for(self, bench: Bench) -> Iterator[str]:
        """The document of a job of two nodes says how they are started, and a scheduler is asked for both."""
        bench.require_feature("multi_node")
        bench.require_sample_workload()
        words = ("--num-nodes=2", *bench.world.needs.get("multi_node", ()))
        placement = bench.world.read_document(bench.render_plan(*words)).placement
        if not placement.node_launcher and not (placement.node_rank and placement.node_address):
            yield (
                "multi_node is declared yes, but the document of a job of two nodes does not say how they are started:"
                " return `node_launcher` (of a scheduler, by `make_node_launcher`), or `node_rank` and `node_address`"
            )
        job, settings = bench.arguments[:2]
        if isinstance(bench.engine, SchedulerEngine):
            (scheduler_job,) = bench.engine.load_spec(bench.plans[-1]).jobs
            single_node_job = dataclasses.replace(
                job, parameters=tuple({**dict(job.parameters), "num_nodes": 1}.items())
            )
            request, single_request = (
                _format_request(bench.engine, job, settings, scheduler_job) for job in (job, single_node_job)
            )
            if request == single_request:
                yield "multi_node is declared yes, but a job of two nodes is sent as one of one: ask for them all"


def _require_pipeline(bench: Bench) -> Callable[[str], Plan]:
    """Return what renders a pipeline whose second step needs the first, by the end of its run's name."""
    bench.require_feature("native_dag")
    bench.render_plan()
    job, settings, run, payload, plugins = bench.arguments
    parts = {"settings": settings, "payload": payload, "container_plugins": plugins}
    steps = [
        PipelineStep(name="first", job=job, hands_over=True, takes={}, **parts),
        PipelineStep(name="second", job=job, needs=("first",), takes={}, **parts),
    ]
    return lambda end: bench.platform.get_plans_for(PipelinePlans).render_pipeline(steps, job, f"{run}-{end}", {})


def _list_jobs(engine: SchedulerEngine, plan: Plan) -> dict[str, list[FoundJob]]:
    """Return the jobs of a plan that the scheduler has, by step."""
    jobs = engine.load_spec(plan).jobs
    engine_jobs = [*engine.search_jobs(jobs)]
    return {
        step_job.step: [job for job in engine_jobs if (job.name, job.token) == (step_job.name, step_job.token)]
        for step_job in jobs
    }


def _format_request(engine: SchedulerEngine, job: Job, settings: Any, scheduler_job: Any) -> tuple[object, ...]:
    """Return all that a scheduler is told of a job: the words of the command, and the script."""
    filled_settings = fill_settings(job, settings)
    return *engine.make_submit_words(job, filled_settings, scheduler_job), engine.make_start_script(
        job, filled_settings, scheduler_job
    )
