"""Render a sweep to the plan of one job array, of which each element is a trial. Pure.

The values of all trials are chosen here: each trial has a folder of its own in the run folder, `trials/NUMBER`, with
its job document.
"""

import os
from dataclasses import replace

from robotrain.errors import Rejected, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.pipeline import SweepSpec
from robotrain.model.plan import Plan
from robotrain.run_folder.code_copy import CODE_FOLDER
from robotrain.run_folder.scheduler_plan import make_token
from robotrain.sweeps.space import fit_values, list_trial_values

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import render, script
from robotrain_slurm.spec.container import make_container
from robotrain_slurm.spec.options import Option, choose_stop_seconds, list_options
from robotrain_slurm.spec.placed_settings import place_settings, place_sources
from robotrain_slurm.spec.prologue import read_prologue
from robotrain_slurm.spec.submission_spec import (
    DOCUMENT_FILE,
    PAYLOAD_FILE,
    SCRIPT_FILE,
    SEARCH_FILE,
    SUBMISSION,
    SUBMISSION_FILE,
    TRIALS_FOLDER,
    BatchJob,
)

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
    settings: SlurmSettings = sweep.settings
    folder = os.path.join(settings.runs_dir, run)
    documents = _render_documents(sweep, run, folder, login)
    options, prologue = _list_array_options(sweep, run, folder), read_prologue(settings)
    container = make_container(sweep.jobs[0], settings, folder, documents[get_trial_path(1, DOCUMENT_FILE)])
    token = make_token(options, prologue, documents, sweep.payload.digest, container)
    batch_job = BatchJob(
        name=run,
        script=SCRIPT_FILE,
        comment=(comment := render.make_comment(run, token)),
        folder=folder,
        trials=sweep.trials,
        container=container,
    )
    stop_seconds = choose_stop_seconds(sweep.jobs[0], settings)
    spec = render.make_spec(settings, run, folder, (batch_job,), stop_seconds, login)
    interpreters = sweep.jobs[0].profile.container.interpreters
    return Plan(
        platform="slurm",
        run=run,
        job=job,
        spec=SCRIPT_FILE,
        files={
            SCRIPT_FILE: script.make_script([*options, ("comment", comment)], prologue).encode(),
            SUBMISSION_FILE: SUBMISSION.dump(spec),
            **documents,
            SEARCH_FILE: script.make_python_search(interpreters).encode(),
            PAYLOAD_FILE: sweep.payload.archive,
        },
        shown=(SCRIPT_FILE, *[*documents][:1]),
    )


def get_trial_path(number: int, file: str = "") -> str:
    """Return where a plan, and the run folder, has a file of a trial, or its folder. `number`: from 1."""
    return os.path.join(TRIALS_FOLDER, str(number), file).rstrip("/")


def _render_documents(sweep: SweepSpec, run: str, folder: str, login: str) -> dict[str, bytes]:
    """Return the job document of each trial, by its path in the plan."""
    first, found = sweep.jobs[0], {}
    parameters, sources = dict(first.parameters), place_sources(first.sources, login)
    chosen = list_trial_values(sweep.space, sweep.sampler, len(sweep.trials), sweep.sampler_seed)
    for number, (trial, values) in enumerate(zip(sweep.trials, chosen, strict=True), start=1):
        own = replace(first, parameters=tuple({**parameters, **fit_values(values, parameters)}.items()))
        place = os.path.join(folder, get_trial_path(number))
        found[get_trial_path(number, DOCUMENT_FILE)] = render.render_document(
            own,
            sweep.settings,
            f"{run}-{trial}",
            place,
            sweep.container_plugins,
            code_folder=os.path.join(folder, CODE_FOLDER),
            space=sweep.space,
            sources=sources,
        )
    return found


def _list_array_options(sweep: SweepSpec, run: str, folder: str) -> list[Option]:
    """Return all options of the array's script but the comment."""
    count = len(sweep.trials)
    most = f"%{sweep.at_most}" if sweep.at_most and sweep.at_most < count else ""
    output = os.path.join(folder, TRIALS_FOLDER).replace("%", "%%") + f"/%a/{render.OUTPUT_FILE}"
    options = render.list_script_options(sweep.jobs[0], sweep.settings, run, folder)
    kept = [(name, output if name == "output" else value) for name, value in options]
    return [*kept, ("array", f"1-{count}{most}")]
