"""`lerobot-train` in the container: environment, problems with inputs, LeRobot's options, and where it publishes."""

import importlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import job_node
from robotrain_runtime.contract.container_plugin import (
    DataPreparation,
    GpuRequirement,
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.event import Note
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT, JobFailed
from robotrain_runtime.contract.problem import Problems, summarize_problem
from robotrain_runtime.machine import hardware

from robotrain_workloads.dataset_check import comparison, statistics_needs
from robotrain_workloads.lerobot import (
    backbones,
    dataset,
    dataset_preparation,
    dataset_shares,
    device,
    episode_numbers,
    image_weights,
    lineage,
    parameters,
    policy,
    policy_features,
    policy_packages,
    policy_repositories,
    run_setup,
    start_check,
    versions,
)
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.start import TRAIN_CONFIG_FILE
from robotrain_workloads.lerobot.warm_up import CHECK_ONLY, TAKE_OVER
from robotrain_workloads.lerobot_train import (
    implied_inputs,
    predicted_policy,
    published_checkpoints,
    resume,
    tracking,
    trainer_options,
    wandb,
    worker_count,
)
from robotrain_workloads.lerobot_train.frames import frame_plan
from robotrain_workloads.lerobot_train.request import TrainingRequest
from robotrain_workloads.nodes import node_launch

LAUNCHER = "robotrain_workloads.lerobot_train.launcher"
MULTI_GPU_LAUNCHER = "robotrain_workloads.lerobot_train.multi_gpu_launcher"
ENVIRONMENT = run_setup.make_environment("train")
DESCRIBED = {
    "dataset": (dataset.INFO_FILE.as_posix(), dataset.STATISTICS_FILE),
    "policy": (*policy.DESCRIPTION_FILES, *policy.PROCESSOR_DESCRIPTION_FILES),
    "init_policy": policy.DESCRIPTION_FILES,
    "resume": (
        *policy.DESCRIPTION_FILES,
        *policy.PROCESSOR_DESCRIPTION_FILES,
        policy.STEP_FILE.as_posix(),
        TRAIN_CONFIG_FILE.as_posix(),
    ),
}
FULL_PRECISION = "no"
BAGS_PLUGIN = "data.bags"
"""What the module is called in the job document that reads bags."""
SHORT_WAIT = {"GOMP_SPINCOUNT": "1000"}
"""Threads that wait for others soon leave their core, which is by default after milliseconds: measured where other
programs use the cores, a step on the CPU takes a sixth of the time. Its result is the same.
"""
checkpoints = run_setup.get_checkpoints_folder
implied_sources = implied_inputs.implied_sources
list_job_options = trainer_options.list_job_options
targets = published_checkpoints.list_targets


def environment(document: JobDocument) -> PythonEnvironment:
    """Return the environment of the job's LeRobot."""
    return run_setup.make_environment("train", document.parameters["lerobot_version"])


def prepare(document: JobDocument, data: Folders, digests: Mapping[JobSource, str]) -> DataPreparation | None:
    """Return the program that makes the dataset; None if one is used as it is. Raise OSError or ValueError."""
    if bags := _load_bags(document):
        conversion: DataPreparation = bags.plan_conversion(document, data, digests)
        return conversion
    return dataset_preparation.plan_preparation(document, data, digests)


def _load_bags(document: JobDocument) -> Any:
    """Return the module that reads bags; None for a job that has none, which does not carry it."""
    module = document.container_plugins.get(BAGS_PLUGIN)
    return importlib.import_module(module) if module else None


def identifying_files(document: JobDocument) -> Mapping[str, Sequence[str]]:
    """Return by role the files of which a source has at least one: bags have any names."""
    return {**DESCRIBED, **({"dataset": ()} if document.parameters["bags"] else {})}


def compare(document: JobDocument, described: Folders) -> Problems:
    """Yield problems that descriptions alone show, mismatches of policy and data included."""
    if bags := _load_bags(document):
        yield from bags.find_problems(document, described)
    job = LerobotJob(document, described)
    yield from _find_problems(job)
    with suppress(ModuleNotFoundError):  # on the machine of a job, LeRobot itself has the rules
        from robotrain_workloads.lerobot_train.rules import find_broken_rules

        yield from find_broken_rules(job)


def _find_problems(job: LerobotJob) -> Problems:
    """Yield what is wrong with the start, the data and the options, as far as the files that are here tell."""
    data_problems = list(dataset_preparation.find_data_problems(job))
    yield from data_problems
    root = None if data_problems else job.root
    if job.is_complete:
        if job.start_error:
            yield str(job.start_error)
        yield from resume.find_problems(job)
    if job.is_complete or root:
        yield from start_check.find_problems(job, root)
    yield from policy_repositories.find_problems(job)
    yield from image_weights.find_problems(job)
    if root:
        yield from comparison.find_problems(job)
    yield from trainer_options.find_problems(job)
    yield from (f"{title}\n{', or '.join(ways)}" for title, ways in trainer_options.find_precision_problems(job))


def _find_mismatches(job: LerobotJob) -> Problems:
    """Yield why what is trained does not fit the dataset that was made of bags."""
    yield from start_check.find_problems(job, job.root)
    if job.root:
        yield from comparison.find_problems(job)


def list_warnings(document: JobDocument, described: Folders) -> Iterator[str]:
    """Yield what LeRobot accepts, though it is probably not what is meant."""
    yield from _list_warnings(LerobotJob(document, described))


def _list_warnings(job: LerobotJob) -> Iterator[str]:
    yield from policy_repositories.list_warnings(job)
    yield from image_weights.list_warnings(job)
    yield from start_check.list_warnings(job)
    if job.root:
        yield from comparison.list_warnings(job)


def needed_files(document: JobDocument, source: JobSource) -> Sequence[str]:
    """Return patterns of the files that are read of a backbone; empty for all."""
    return policy_repositories.list_needed_files(LerobotJob(document), source)


def describe_output(document: JobDocument, described: Folders, folder: Path) -> None:
    """Write what describes the policy that the training will make, as far as it is known."""
    predicted_policy.write_description(LerobotJob(document, described), folder)


def inspect(document: JobDocument, data: Folders) -> Problems:
    """Yield problems in small files that LeRobot would fail on."""
    if bags := _load_bags(document):
        yield from bags.find_problems(document, data, is_complete=True)
    job = LerobotJob(document, data, is_complete=True)
    yield from _find_problems(job)
    yield from map("\n".join, parameters.find_device_problems(job.parameters))
    if job.parameters["wandb"]:
        yield from wandb.find_wandb_problems(document.placement, os.environ)
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    yield from run_setup.find_output_problems(document, output)
    yield from published_checkpoints.find_problems(job, output)


def work(document: JobDocument, data: Folders, work: Path) -> WorkCommand:
    """Return the launcher's command, for the training environment. Raise OSError."""
    job = LerobotJob(document, data, is_complete=True)
    mismatches = list(_find_mismatches(job)) if document.parameters["bags"] else []  # which are not known before
    if mismatches:
        raise JobFailed("; ".join(map(summarize_problem, mismatches)), EXIT_PREFLIGHT, "data")
    run_setup.fill_cache(data, work, job.trusted)
    output = run_setup.resolve_output_folder(document, work)
    recovered_start, notes = resume.recover_earlier_attempt(job, output)
    if recovered_start:
        job = LerobotJob(document, data, is_complete=True, start=recovered_start)
    elif job.start_error:
        raise job.start_error
    else:
        warnings = (Note(level="warning", text=text) for text in _list_warnings(job))
        renames = policy_features.parse_renames(job.parameters)
        rename_notes = policy_features.list_notes(renames, job.start.settings, job.model)
        notes = (*notes, *resume.list_notes(job), *warnings, *rename_notes)
    workers = worker_count.choose_worker_count(job)
    user_options = image_weights.list_read_options(job)
    wandb_options: Iterable[str] = ("--wandb.enable=false",)
    if job.parameters["wandb"]:
        new_run = recovered_start is None and job.start.mode == "checkpoint"
        project = tracking.get_experiment_name({**job.parameters, job.model.parameter: job.model.kind})
        wandb_options = wandb.make_wandb_options(project, user_options, os.environ, new_run=new_run)
    root = job.root or Path()
    options = trainer_options.make_options(job, root, output, workers.processes, dataset.compute_frame_tolerance(root))
    request = make_request(job, loads_alone=workers.loads_alone).dump()
    words = [*_make_launcher_words(job), request, "--", *options, *wandb_options, *user_options]
    return WorkCommand(
        arguments=(*node_launch.make_arguments(document, work, words),),
        environ={**make_environ(document, work), **node_launch.make_environ(document)},
        notes=(*notes, *workers.notes),
    )


def warm_up(document: JobDocument, described: Folders, work: Path) -> WorkCommand:
    """Return the launcher's command that imports LeRobot and checks its options, as far as they are known."""
    is_single_rank = _count_ranks(document) == 1
    job = LerobotJob(document, described)
    options: tuple[str, ...] = ()
    needs_backbone = backbones.is_read_at_parsing(job.parameters)  # which is not here yet
    if job.is_start_known and job.start.mode != "checkpoint" and not needs_backbone:
        options = (
            *trainer_options.make_options(job, Path("dataset"), work / "unmade"),
            job.model.format_option("device", "cpu"),
            *image_weights.list_read_options(job),
        )
    return WorkCommand(
        arguments=("-m", LAUNCHER, TAKE_OVER if is_single_rank else CHECK_ONLY, *options),
        environ=make_environ(document, work),
        takes_over=is_single_rank,
    )


def check_command(document: JobDocument, described: Folders, work: Path) -> WorkCommand | None:
    """Return the command that asks LeRobot about the options of the training; None if its start is not here."""
    from robotrain_workloads.lerobot_train.rules import make_check_command  # a job does not carry it

    return make_check_command(LerobotJob(document, described), work, make_environ(document, work))


def make_environ(document: JobDocument, work: Path) -> dict[str, str]:
    """Return the environment variables that are added for LeRobot. `work`: the run's own folder."""
    number_format = str(document.parameters["mixed_precision"] or FULL_PRECISION)
    return {
        **run_setup.make_hub_environment(document, work),
        **policy_packages.make_environ(document),
        parameters.PRECISION_VARIABLE: number_format,
        **({} if os.environ.keys() & {*SHORT_WAIT, "OMP_WAIT_POLICY"} else SHORT_WAIT),
    }


def gpus(document: JobDocument) -> GpuRequirement | None:
    """Return the GPUs that the job needs; None if it also runs without."""
    return device.find_gpu_requirement(document.parameters, hardware.read_cuda_version(environment(document).lock))


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run."""
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    return tracking.describe_tracking_run(document, output)


def publishing(document: JobDocument, data: Folders) -> PublishingSpec:
    """Return the metadata of a registered checkpoint."""
    job = LerobotJob(document, data)
    scored_checkpoints = str(job.parameters["evaluate_checkpoints"] or "")
    return PublishingSpec(
        register=str(job.parameters["register_checkpoint"] or ""),
        description=tracking.describe_model(job),
        tags=tracking.make_model_tags(job),
        lineage=tracking.make_lineage(document),
        describes=tracking.describe_policy(job),
        path_files=lineage.PATH_FILES,
        hands_over=scored_checkpoints,
        saved_steps=published_checkpoints.list_saved_steps(job) if scored_checkpoints else (),
    )


def _make_launcher_words(job: LerobotJob) -> Iterator[str]:
    if _count_ranks(job.document) == 1:
        yield from ("-m", LAUNCHER)
    else:
        yield from ("-m", MULTI_GPU_LAUNCHER, f"--count={job.parameters['num_gpus']}", "--")


def make_request(job: LerobotJob, *, loads_alone: bool = False) -> TrainingRequest:
    """Return what the launcher is asked for."""
    job_parameters, model, start = job.parameters, job.model, job.start
    weights = image_weights.find_needed(job) if start.mode == "scratch" else ""
    weights_source = image_weights.find_source(job.folders, weights) if weights else None
    base_policy = trainer_options.find_base(job)
    has_own_statistics = start.mode == "checkpoint" and model.section == versions.POLICIES
    is_computed = statistics_needs.are_computed(job_parameters, job.sources) and not has_own_statistics
    is_named = bool(tracking.name_type(job_parameters))  # else its start could not be read before
    own_tags = {} if is_named else {f"lerobot.{model.parameter}": model.kind}
    return TrainingRequest(
        device=str(job_parameters["device"]),
        trains=model.prefix,
        weights=str(image_weights.find_file(job.folders[weights_source])) if weights_source else "",
        weights_name=weights if weights_source else "",
        given_weights=weights_source is not None and weights_source.kind != backbones.TORCHVISION_KIND,
        first=start.step,
        loads_alone=loads_alone,
        allow_non_finite=bool(job_parameters["allow_non_finite"]),
        base=str(base_policy[1]) if base_policy else "",
        base_reference=base_policy[0]._asdict() if base_policy else {},
        new_processors=start.mode == "weights",
        reads_task=model.facts.reads_task,
        exclude_episodes=str(job_parameters[episode_numbers.EXCLUDED] or ""),
        computed_statistics=is_computed,
        relative_statistics=is_computed and statistics_needs.normalizes_relative_actions(job),
        mixture=dataset_shares.list_shares(job_parameters, job.sources),
        read_numbers=statistics_needs.list_read_numbers(job),
        frame_cache=frame_plan.make_settings(job),
        stop_after=int(job_parameters["stop_after_no_improvement"] or 0),
        cores_option=job.document.placement.cores_option,
        nodes=job_node.count_nodes(job.document),
        ranks=_count_ranks(job.document),
        batch=int(job_parameters["batch_size"]),
        tags={**own_tags, **lineage.make_parent_tags(job.folders)},
    )


def _count_ranks(document: JobDocument) -> int:
    """Return the processes that train together."""
    return int(str(document.parameters["num_gpus"])) * job_node.count_nodes(document)
