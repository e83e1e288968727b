"""Render a pipeline to the plan of several batch jobs, of which each waits for those that it needs. Pure.

A step has a folder of its own in the run folder, `steps/NAME`, and hands over through it. All steps have the same
payload, at the top.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from robotrain.errors import Problem, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Payload, Plan
from robotrain.model.run import Reference
from robotrain.run_folder import scheduler_settings
from robotrain.run_folder.parts import HANDOVER_FOLDER

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.container import make_container
from robotrain_slurm.spec.placed_settings import place_settings, place_sources
from robotrain_slurm.spec.render import RenderedBatch, list_script_options, make_plan, render_document
from robotrain_slurm.spec.submission_spec import SCRIPT_FILE, STEPS_FOLDER, BatchJob

make_problem = Messages(__file__)

RUN_SETTINGS = {"runs_dir": "--runs-dir", "continuation": "--continuation", "stage": "--stage", "login": "--login"}
"""Settings that a run has once, with their options."""


def render_pipeline(steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]) -> Plan:
    """Return the plan of a pipeline. Raise Rejected for what its steps cannot do as jobs that wait for each other."""
    raise_if_any(list(_check_steps(steps)))
    login = steps[0].settings.login or ""
    steps = [replace(step, settings=place_settings(step.settings)) for step in steps]
    root = os.path.join(steps[0].settings.runs_dir, run)
    folders = {name: _get_handover(reference["folder"], name) for name, reference in finished.items()}
    folders |= {step.name: _get_handover(root, step.name) for step in steps}
    names = {step.name for step in steps}
    rendered = [_render_step(step, run, root, folders, names, login) for step in steps]
    return make_plan(rendered, job, run, root, Payload.merge(step.payload for step in steps), login)


def get_step_path(name: str, file: str = "") -> str:
    """Return where a plan, and the run folder, has a file of a step, or its folder."""
    return os.path.join(STEPS_FOLDER, name, file).rstrip("/")


def _get_handover(root: str, name: str) -> str:
    return os.path.join(root, get_step_path(name, HANDOVER_FOLDER))


def _check_steps(steps: Sequence[PipelineStep]) -> Iterator[Problem]:
    """Yield each problem once, for the first step that has it."""
    all_settings: list[SlurmSettings] = [step.settings for step in steps]
    if any(one.continuation == "node" for one in all_settings):
        flag = "--continuation"
        yield make_problem("slurm-step-continued", given="node")
    for name, flag in RUN_SETTINGS.items():
        values = {getattr(one, name): step.name for one, step in zip(all_settings, steps, strict=True)}
        if len(values) > 1:
            given = ", ".join(map(str, values))
            yield make_problem("steps-differ", where=flag, given=given, values=" and ".join([*values.values()][:2]))


def _render_step(
    step: PipelineStep, run: str, root: str, handovers: Mapping[str, str], names: Collection[str], login: str
) -> RenderedBatch:
    """Return a step.

    :param handovers: by step, the folder of its output.
    :param names: the steps of this run, without those that an earlier one finished.
    """
    name, folder = f"{run}-{step.name}", os.path.join(root, get_step_path(step.name))
    document = render_document(
        step.job,
        step.settings,
        name,
        folder,
        step.container_plugins,
        mounts=[replace(one, origin=f"step {one.uri}") for one in step.list_mounts(handovers)],
        handover=handovers[step.name] if step.hands_over else "",
        registers=step.registers,
        sources=place_sources(step.job.sources, login),
    )
    batch = BatchJob(
        name=name,
        script=get_step_path(step.name, SCRIPT_FILE),
        folder=folder,
        step=step.name,
        needs=tuple(one for one in step.needs if one in names),
        container=make_container(step.job, step.settings, root, document),
    )
    options = list_script_options(step.job, step.settings, name, folder)
    return RenderedBatch(batch=batch, job=step.job, settings=step.settings, options=options, documents=[document])


def choose_registration_settings(
    job: Job, settings: SlurmSettings, own: Collection[str]
) -> tuple[SlurmSettings, Iterable[Problem]]:
    """Return the settings of a step that registers a policy: as for every scheduler, and no type of GPU."""
    chosen = scheduler_settings.choose_registration_settings(job, settings, own)
    return chosen if "gpu_type" in own else replace(chosen, gpu_type=None), ()
