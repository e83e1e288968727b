"""Render a sweep to the plan of one job array, of which each element is a trial. Pure.

The values of all trials are chosen here: each trial has a folder of its own in the run folder, `trials/NUMBER`, with
its job document.
"""

import os
from collections.abc import Iterator
from dataclasses import replace

from robotrain.errors import Rejected, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.pipeline import SweepSpec
from robotrain.model.plan import Plan
from robotrain.run_folder.code_copy import CODE_FOLDER
from robotrain.sweeps.space import fit_values, list_trial_values

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import render
from robotrain_slurm.spec.container import make_container
from robotrain_slurm.spec.options import Option, list_options
from robotrain_slurm.spec.placed_settings import place_settings, place_sources
from robotrain_slurm.spec.submission_spec import SCRIPT_FILE, TRIALS_FOLDER, BatchJob

make_problem = Messages(__file__)


def find_sweep_obstacle(sweep: SweepSpec) -> str:
    """Return why Slurm cannot run a sweep as a job array, as the end of a sentence; empty if it can."""
    settings: SlurmSettings = sweep.settings
    if settings.continuation == "node":
        return "with --continuation node, another job would continue a trial"
    given = [dict(list_options(job, settings)) for job in sweep.jobs]
    names = dict.fromkeys(name for options in given for name in options)
    changed = next((name for name in names if len({options.get(name) for options in given}) > 1), "")
    return f"--{changed} of the job changes with the values" if changed else ""


def render_sweep(sweep: SweepSpec, job: Job, run: str) -> Plan:
    """Return the plan of a job array. Raise Rejected for a sweep that cannot be one."""
    if obstacle := find_sweep_obstacle(sweep):
        fix = suggest_leaving_out("--native-only")
        raise Rejected([make_problem("sweep-not-native", fix, obstacle=obstacle)])
    login = sweep.settings.login or ""
    sweep = replace(sweep, settings=place_settings(sweep.settings))
    first, folder = sweep.jobs[0], os.path.join(sweep.settings.runs_dir, run)
    documents = [*_render_documents(sweep, run, folder, login)]
    container = make_container(first, sweep.settings, folder, documents[0])
    rendered = render.RenderedBatch(
        batch=BatchJob(name=run, script=SCRIPT_FILE, folder=folder, trials=sweep.trials, container=container),
        job=first,
        settings=sweep.settings,
        options=_list_array_options(sweep, run, folder),
        documents=documents,
    )
    return render.make_plan([rendered], job, run, folder, sweep.payload, login)


def _render_documents(sweep: SweepSpec, run: str, folder: str, login: str) -> Iterator[bytes]:
    """Yield the job document of each trial."""
    first = sweep.jobs[0]
    parameters, sources = dict(first.parameters), place_sources(first.sources, login)
    chosen = list_trial_values(sweep.space, sweep.sampler, len(sweep.trials), sweep.sampler_seed)
    for number, (trial, values) in enumerate(zip(sweep.trials, chosen, strict=True), start=1):
        own = replace(first, parameters=tuple({**parameters, **fit_values(values, parameters)}.items()))
        yield render.render_document(
            own,
            sweep.settings,
            f"{run}-{trial}",
            os.path.join(folder, TRIALS_FOLDER, str(number)),
            sweep.container_plugins,
            code_folder=os.path.join(folder, CODE_FOLDER),
            space=sweep.space,
            sources=sources,
        )


def _list_array_options(sweep: SweepSpec, run: str, folder: str) -> list[Option]:
    """Return all options of the array's script but the comment."""
    count = len(sweep.trials)
    most = f"%{sweep.at_most}" if sweep.at_most and sweep.at_most < count else ""
    output = os.path.join(folder, TRIALS_FOLDER).replace("%", "%%") + f"/%a/{render.OUTPUT_FILE}"
    options = render.list_script_options(sweep.jobs[0], sweep.settings, run, folder)
    kept = [(name, output if name == "output" else value) for name, value in options]
    return [*kept, ("array", f"1-{count}{most}")]
