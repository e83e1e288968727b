"""Container parts of the workloads that play a policy of Isaac Lab: problems with inputs, options, the tracking run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource, Scalar
from robotrain_runtime.contract.problem import Problem, Problems, get_problem

from robotrain_workloads import packages, publish_url
from robotrain_workloads.isaac import (
    assets,
    checkpoint_file,
    installation,
    played_checkpoint,
    rollout,
    script_options,
    user_code,
)

FORWARDED_PARAMETERS = ("task", "backend", "num_envs", "seed", "isaaclab_path", "isaac_version")
"""Parameters that become options of every program that plays a policy, if set."""
Examination = tuple[list[Problem | str], str]
"""Why a checkpoint cannot be played, and the library that wrote it."""


def inspect_policy(
    document: JobDocument,
    data: Folders,
    examine: Callable[[str, JobSource], Examination],
    *,
    results: str,
    owned_options: Mapping[str, str],
) -> Problems:
    """Yield why a policy cannot be played, as far as versions and the checkpoint tell without the simulator.

    :param examine: takes the version of Isaac Lab and the checkpoint's source; may raise OSError with a sentence.
    :param results: the folder of results, below the outputs.
    :param owned_options: options of the play script that robotrain sets itself.
    """
    yield from assets.find_problems(document, data)
    yield from user_code.find_problems(document, data)
    parameters = document.parameters
    output = Path(document.placement.work) / "outputs" / results
    yield from publish_url.find_write_problems(str(parameters["publish_url"] or ""), output, "results")
    source = checkpoint_file.find_checkpoint_source(data)
    try:
        series = installation.choose_series(installation.find_present(document))
        if source is None:
            return
        problems, backend = examine(series, source)
        yield from problems
        if problems:
            return
    except OSError as error:
        yield get_problem(error)
        return
    script = script_options.Script("play", owned_options, backend)
    yield from installation.find_script_problems(document, series, script)


def check_command(document: JobDocument, described: Folders, work: Path) -> WorkCommand | None:
    """Return the command that asks Isaac Lab about the options of the play script.

    None if it cannot be asked, and for a policy whose task or library is not known here.
    """
    parameters = document.parameters
    source = checkpoint_file.find_checkpoint_source(document.sources)
    task = str(parameters["task"] or "")
    backend = str(parameters["backend"] or "")
    agent = ""
    if not installation.can_be_asked(document):
        return None
    if source is not None and source.kind == "local_path":
        with contextlib.suppress(OSError):  # other rules name it
            checkpoint = played_checkpoint.load_checkpoint(Path(source.uri), Path(document.placement.cache))
            task, agent = task or checkpoint.facts.task, checkpoint.facts.agent
            backend = backend or checkpoint.backend
    if not task or not backend:
        return None
    num_envs = int(str(parameters["num_envs"]))
    seed = int(str(parameters["seed"]))
    play_options = rollout.list_play_options(task, agent, num_envs, seed, document.trainer_args)
    play_options += ["--video"] if parameters.get("record_video", parameters["video_length"]) else []
    arguments = ("-m", installation.OPTION_CHECK, "play", backend, *play_options, "--", *document.trainer_args)
    return WorkCommand(arguments=arguments, environ={})


def make_program_options(
    document: JobDocument, data: Folders, work: Path, results: str, forwarded_names: Collection[str]
) -> list[str]:
    """Return the options that say what is played and where results go.

    :param forwarded_names: parameters that are options of the program, beside FORWARDED_PARAMETERS.
    """
    parameters = document.parameters
    source = checkpoint_file.find_checkpoint_source(data)
    assert source is not None  # the role is required
    names = (*FORWARDED_PARAMETERS, *forwarded_names)
    options = {name: parameters[name] for name in names if parameters[name] is not None}
    return [
        *(f"--work={work}", f"--cache={document.placement.cache}", f"--results={work / 'outputs' / results}"),
        *(f"--checkpoint={data[source]}", f"--source={checkpoint_file.get_address(source)}"),
        *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()),
        *(("--headless",) if parameters["headless"] else ()),
    ]


def describe_tracking_run(
    document: JobDocument,
    *,
    experiment: str,
    run_name: str,
    copied: Collection[str],
    params: Mapping[str, Scalar],
    tags: Mapping[str, Any],
) -> TrackingSpec:
    """Return the metadata of the tracking run: parameters that are `copied` if set, further `params`, and `tags`."""
    parameters = document.parameters
    options = {"options": " ".join(document.trainer_args)} if document.trainer_args else {}
    facts = {
        **tags,
        "task": parameters["task"],
        "framework": parameters["backend"],
        "checkpoint_source_sha256": str(parameters["sha256"] or "").lower(),
    }
    return TrackingSpec(
        experiment=experiment,
        run_name=run_name,
        params={
            **{name: parameters[name] for name in copied if parameters[name] is not None},
            **params,
            **packages.describe(document),
            **options,
        },
        tags={name: str(value) for name, value in facts.items() if value},
        machine=bool(parameters["system_metrics"]),
    )
