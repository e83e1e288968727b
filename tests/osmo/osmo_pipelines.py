"""Pipelines without a command line: their steps, plans and workflows of the stand-in."""

from typing import Any

from osmo_plans import PLUGIN_MODULES, evaluation, job, payload, settings, source
from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Payload, Plan
from robotrain_osmo.platform import OSMO

RUN = "train-eval-aa4c8800-1"
WHOLE = Job(workload="train-eval", parameters=())


def step(name: str, of: Job, *needs: str, packed: Payload | None = None, **more: Any) -> PipelineStep:
    """A step; what it takes from others are sources of its job."""
    overrides = {"tracking_uri": "https://mlflow.example"} | more.pop("settings", {})
    takes = {source.uri: "policy" for source in of.sources if source.kind == "step"}
    return PipelineStep(
        name=name,
        needs=tuple(dict.fromkeys((*takes, *needs))),
        job=of,
        settings=settings(**overrides),
        payload=packed or payload(),
        container_plugins=PLUGIN_MODULES,
        takes=takes,
        **more,
    )


def steps(packed: Payload | None = None, **options: Any) -> list[PipelineStep]:
    """A training, the evaluation of its policy, and another training after that."""
    return [
        step("train", job(), packed=packed, hands_over=True, **options),
        step("evaluate", evaluation(source("step", "train", "policy")), packed=packed, hands_over=True, **options),
        step("again", job(seed=7), "evaluate", packed=packed, **options),
    ]


def plan(of: list[PipelineStep] | None = None, finished: Any = None, run: str = RUN) -> Plan:
    return OSMO.plans.render_pipeline(of or steps(), WHOLE, run, finished or {})
