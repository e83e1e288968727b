"""`lerobot-eval` in the container: environment, problems with inputs, the command, its tracking run, what it publishes.

Names of parameters and tags: contract, D.5.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.container_plugin import (
    GpuRequirement,
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
    read_lock,
)
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.problem import Problems, make_data_problem
from robotrain_runtime.machine import hardware

from robotrain_workloads import packages, publish_url
from robotrain_workloads.lerobot import (
    backbones,
    dataset_preparation,
    device,
    episode_numbers,
    lineage,
    policy,
    policy_packages,
    policy_repositories,
    run_setup,
)
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.lineage import START_MODES, get_dataset_name, read_checkpoint_manifest
from robotrain_workloads.lerobot.options import format_options
from robotrain_workloads.lerobot.warm_up import TAKE_OVER
from robotrain_workloads.lerobot_eval import policy_checkpoints, references
from robotrain_workloads.lerobot_eval.inputs import compatibility, held_out, simulation
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.inputs.simulation import SCENES_ROLE
from robotrain_workloads.lerobot_eval.parameters import choose_lock

ENVIRONMENT = run_setup.make_environment("eval")

LAUNCHER = "robotrain_workloads.lerobot_eval.launcher"
RESULTS_FOLDER = "eval_results"
POLICY_FOLDER = "policy"
"""Folder below the output folder for the evaluated policy, under its step."""
COPIED_PARAMETERS = (
    *("job_name", "eval_episodes", "eval_batch_size", "replay_episodes", "env", "env_steps", "starts"),
    episode_numbers.EXCLUDED,
    *("success_reward", "success_threshold", "record_video", "seed", "system_metrics", "checkpoints"),
    "confirm",
    *("env_tasks", "task_description", "rename"),
    *references.PARAMETERS,
)
"""Parameters that become those of the tracking run if set."""
OF_ONE_CHECKPOINT = (model_lineage.POLICY_STEP, model_lineage.POLICY_DIGEST)
DESCRIBED = {
    **dataset_preparation.DESCRIPTION_FILES,
    **dict.fromkeys(
        (references.POLICY_ROLE, references.ROLE), (*policy.DESCRIPTION_FILES, *policy.PROCESSOR_DESCRIPTION_FILES)
    ),
    SCENES_ROLE: tuple(
        simulated.scene_file for simulated in simulation.SIMULATED_ENVIRONMENTS.values() if simulated.scene_file
    ),
}
prepare = dataset_preparation.plan_preparation
targets = publish_url.list_targets


def environment(document: JobDocument) -> PythonEnvironment:
    """Return the environment of the job's LeRobot."""
    lock = choose_lock(document.parameters)
    version = document.parameters["lerobot_version"]
    return run_setup.make_environment(lock, version, gib=9.0 if lock == "eval" else 10.0)


def takes_any_policy(document: JobDocument) -> bool:
    """Return whether the policy is a folder of checkpoints."""
    return document.parameters[policy_checkpoints.PARAMETER] is not None


def make_job(document: JobDocument, data: Folders | None = None, *, is_complete: bool = False) -> LerobotJob:
    """Return the job; of several checkpoints to evaluate, that of the newest one."""
    return make_jobs(document, data, is_complete=is_complete)[0]


def make_jobs(document: JobDocument, data: Folders | None = None, *, is_complete: bool = False) -> list[LerobotJob]:
    """Return the job, and those that evaluate the references in place of the policy."""
    own_view = document, policy_checkpoints.view_newest(document, data or {})
    views = (own_view, *references.list_views(document, data or {}))
    jobs = [LerobotJob(view, folders, is_complete=is_complete) for view, folders in views]
    for job in jobs:
        job.beside = [other_job for other_job in jobs if other_job is not job]
    return jobs


def compare(document: JobDocument, described: Folders) -> Problems:
    """Yield problems that descriptions alone show, mismatches of policy and data included."""
    yield from _find_problems(make_jobs(document, described))


def _find_problems(jobs: Sequence[LerobotJob]) -> Problems:
    """Yield what is wrong with the policies and the data, as far as they are here."""
    job, *reference_jobs = jobs
    for reference_job in reference_jobs:
        name = reference_job.start_source.uri if reference_job.start_source else ""
        for finding in map(make_data_problem, _find_reference_problems(reference_job)):
            yield (
                finding
                if name in finding.title
                else dataclasses.replace(finding, title=f"the reference {name}: {finding.title}")
            )
    yield from dataset_preparation.find_data_problems(job)
    if reward_model := compatibility.explain_reward_model(job):
        yield reward_model
        return
    if job.is_complete:
        yield from _find_policy_problems(job)
    if (scenes := _find_scenes(job)) and (problem := simulation.find_scenes_problem(job.parameters["env"], scenes)):
        yield problem
    yield from compatibility.find_mismatches(job)
    yield from policy_repositories.find_problems(job)
    yield from held_out.find_missing_episodes(job)
    if job.parameters["builtin_policy"] and job.info:
        with suppress(ModuleNotFoundError):  # an evaluation does not carry it
            from robotrain_workloads.lerobot_eval.rules import find_unmet_needs

            yield from find_unmet_needs(job)
    if job.is_complete:
        yield from held_out.find_split_problems(job)


def _find_reference_problems(job: LerobotJob) -> Problems:
    """Yield what is wrong with a policy to compare with."""
    if reward_model := compatibility.explain_reward_model(job):
        yield reward_model
        return
    if job.is_complete:
        yield from _find_policy_problems(job)
    yield from compatibility.find_mismatches(job)
    yield from policy_repositories.find_problems(job)


def _find_scenes(job: LerobotJob) -> Path | None:
    return next((folder for source, folder in job.folders.items() if source.role == SCENES_ROLE), None)


def list_warnings(document: JobDocument, described: Folders) -> Iterator[str]:
    """Yield what is accepted, though it is probably not what is meant."""
    jobs = make_jobs(document, described)
    yield from dict.fromkeys(warning_text for job in jobs for warning_text in policy_repositories.list_warnings(job))
    yield from policy_checkpoints.list_warnings(document, described)


def implied_sources(document: JobDocument, described: Folders) -> Mapping[str, Sequence[str]]:
    """Return the backbones and tokenizers that the policies read and no source brings."""
    jobs = make_jobs(document, described)
    source_texts = [
        *dict.fromkeys(source_text for job in jobs for source_text in policy_repositories.list_implied(job))
    ]
    return {backbones.BACKBONE_ROLE: source_texts} if source_texts else {}


def needed_files(document: JobDocument, source: JobSource) -> Sequence[str]:
    """Return patterns of the files that are read of a backbone, or of checkpoints; empty for all."""
    if source.role in START_MODES and takes_any_policy(document):
        return policy_checkpoints.FILE_PATTERNS
    return policy_repositories.list_needed_files(make_job(document), source)


def inspect(document: JobDocument, data: Folders) -> Problems:
    """Yield problems in small files that LeRobot would fail on."""
    jobs = make_jobs(document, data, is_complete=True)
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    job = jobs[0]
    yield from policy_checkpoints.find_problems(document, data)
    yield from _find_problems(jobs)
    if compatibility.explain_reward_model(job):
        return
    if output.exists() and not output.is_dir():
        yield make_data_problem(f"the output folder {output} is a file", "--output-dir FOLDER")
    elif (output / RESULTS_FOLDER).exists() and not run_setup.is_own_output(Path(document.placement.work), output):
        yield make_data_problem(
            f"the output folder {output} has results of another evaluation", "--output-dir NEW_FOLDER"
        )
    yield from publish_url.find_write_problems(str(document.parameters["publish_url"] or ""), output, "results")


def work(document: JobDocument, data: Folders, work: Path) -> WorkCommand:
    """Return the launcher's command, for the run's environment. Raise OSError."""
    job, *reference_jobs = make_jobs(document, data, is_complete=True)
    run_setup.fill_cache(data, work, job.trusted)
    request = _make_request(job, data, work)
    compared_policies = [
        dataclasses.replace(held_out.find_policy(reference_job), role=references.ROLE)
        for reference_job in reference_jobs
    ]
    file = dataclasses.replace(request, references=compared_policies).save(work)
    return WorkCommand(arguments=("-m", LAUNCHER, str(file)), environ=_make_environ(document, work))


def warm_up(document: JobDocument, described: Folders, work: Path) -> WorkCommand:
    """Return the launcher's command that imports LeRobot and checks the policy's options, if the policy is known."""
    job = make_job(document, described)
    model: Path | str | None = job.policy_folder
    is_new = job.start_source is None
    if is_new and not backbones.is_read_at_parsing(job.parameters):  # else it reads what is not here yet
        model = job.model.kind
    options = (
        (str(model), *(argument for argument in job.arguments if argument.startswith("--policy."))) if model else ()
    )
    return WorkCommand(arguments=("-m", LAUNCHER, TAKE_OVER, *options), environ=_make_environ(document, work))


def _make_environ(document: JobDocument, work: Path) -> dict[str, str]:
    return {**run_setup.make_hub_environment(document, work), **policy_packages.make_environ(document)}


def check_command(document: JobDocument, described: Folders, work: Path) -> WorkCommand | None:
    """Return the command that asks LeRobot about the policy's options; None if there are none, or it is not here."""
    from robotrain_workloads.lerobot_eval.rules import make_check_command  # a job does not carry it

    return make_check_command(make_job(document, described), run_setup.make_hub_environment(document, work))


def gpus(document: JobDocument) -> GpuRequirement | None:
    """Return the GPUs that the job needs; None when it also runs without."""
    return device.find_gpu_requirement(document.parameters, hardware.read_cuda_version(environment(document).lock))


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the experiment, the run's name, parameters and tags. The launcher adds what only it knows."""
    parameters = document.parameters
    has_dataset = bool(lineage.list_dataset_sources(document))
    local_folders = {
        source: Path(source.uri)
        for source in document.sources
        if source.role in START_MODES and source.kind == "local_path"
    }
    job = make_job(document, local_folders)
    reference = held_out.find_policy(job)
    dataset_name = get_dataset_name(document)
    reference_uris = [lineage.format_source_uri(source) for source in references.list_references(document.sources)]
    params = {
        "policy_repo_id": reference.name,
        "policy_source": reference.source,
        **({"dataset_repo_id": dataset_name} if has_dataset else {}),
        **{name: parameters[name] for name in COPIED_PARAMETERS if parameters[name] is not None},
        **({"references": " ".join(reference_uris)} if reference_uris else {}),
        **({"starts": simulation.summarize_starts(str(parameters["starts"]))} if parameters["starts"] else {}),
        **({"options": format_options(document.trainer_args)} if document.trainer_args else {}),
        **packages.describe(document),
    }
    tags = {
        "lerobot.framework": "lerobot",
        "lerobot.job_name": str(parameters["job_name"]),
        "policy.source": reference.source,
        "policy.pin": reference.pin,
        "dataset.repo_id": dataset_name if has_dataset else "",
        "dataset.source": lineage.describe_dataset_kind(document.sources) if has_dataset else "",
        "model.register_name": str(parameters["register_model"] or ""),
    }
    kind = job.known_model.kind if job.known_model else "policy"
    return TrackingSpec(
        experiment=str(parameters["experiment_name"] or f"lerobot-{kind}-inference"),
        run_name=str(parameters["job_name"]),
        params=params,
        tags={name: value for name, value in tags.items() if value},
        machine=bool(parameters["system_metrics"]),
    )


def publishing(document: JobDocument, data: Folders) -> PublishingSpec:
    """Return the metadata of a registered policy."""
    job = make_job(document, data)
    parameters = document.parameters
    reference = held_out.find_policy(job)
    model = job.known_model
    kind = model.kind if model else ""
    training_tags = _make_training_tags(job)
    azureml_tags = lineage.make_azureml_tags(document)
    policy_origin = {"policy_uri": reference.name, "policy_source": reference.source, "policy_pin": reference.pin}
    description_lines = [
        f"LeRobot {kind} policy: {reference.name}{lineage.describe_pin(reference.pin)}",
        f"Registered by: {parameters['job_name']} (run {document.run}), which evaluated it",
        *(f"Azure ML job: {name}" for name in azureml_tags.values()),
    ]
    tags = {
        "framework": "lerobot",
        "policy_type": kind,
        "job_name": str(parameters["job_name"]),
        "source": f"{document.platform}-lerobot-inference",
        **policy_origin,
        **training_tags,
        **azureml_tags,
        **packages.describe(document),
    }
    env = str(parameters["env"] or "")
    datasets = lineage.list_dataset_sources(document)
    reference_sources = references.list_references(document.sources)
    return PublishingSpec(
        register=str(parameters["register_model"] or ""),
        description="\n".join(description_lines),
        tags={name: value for name, value in tags.items() if value},
        evaluated_on=(lineage.make_dataset_tags(document) if datasets else {}) | ({"env": env} if env else {}),
        lineage={
            **policy_origin,
            "policy_pin": reference.pin or None,
            **{name: training_tags.get(name) for name in ("policy_run", "policy_step")},
            "evaluated_on": [[source.kind, source.uri, source.pin] for source in datasets],
            **(
                {"compared_with": [[reference.kind, reference.uri, reference.pin] for reference in reference_sources]}
                if reference_sources
                else {}
            ),
            "azureml_run_id": azureml_tags.get("azureml_run_id"),
        },
    )


def _make_training_tags(job: LerobotJob) -> dict[str, str]:
    """Return the run that trained the policy, from its checkpoint or the cache.

    Of several checkpoints it is not known yet which is meant: its step is a tag as the name of its folder.
    """
    parents = lineage.make_parent_tags(job.folders)
    source = job.start_source
    cache = job.document.placement.cache
    tags: Mapping[str, str] = {name.replace("parent", "policy", 1): value for name, value in parents.items()}
    if not tags and source and source in job.folders:
        tags = model_lineage.read_policy_lineage(Path(cache), job.folders[source])
    omitted_tags = OF_ONE_CHECKPOINT if takes_any_policy(job.document) else ()
    return {name: value for name, value in tags.items() if name not in omitted_tags}


def _find_policy_problems(job: LerobotJob) -> Problems:
    """Yield problems of the policy's files, for any type of LeRobot."""
    if job.start_error:
        yield str(job.start_error)
    elif job.start.mode != "scratch":
        if not job.start.settings.get("type"):
            yield f"{job.start.folder} {policy.UNTYPED}"
        yield from policy.find_torn_files(job.start.folder, with_processors=True)


def _make_request(job: LerobotJob, data: Folders, work: Path) -> EvaluationRequest:
    """Return what the launcher is asked for. `work`: the run's own folder."""
    parameters = job.parameters
    output = run_setup.resolve_output_folder(job.document, work)
    source = job.start_source
    evaluated_policy = held_out.find_policy(job)
    has_several = takes_any_policy(job.document)
    kept_policy = None
    if not parameters["builtin_policy"] and (parameters["keep_policy"] or parameters["register_model"]):
        kept_policy = output / POLICY_FOLDER if has_several else output / POLICY_FOLDER / f"{evaluated_policy.step:06}"
    request_fields = {field.name for field in dataclasses.fields(EvaluationRequest)}
    return EvaluationRequest(
        **{name: value for name, value in parameters.items() if name in request_fields and value is not None},
        policy=evaluated_policy,
        checkpoints_folder=data[source] if has_several and source else None,
        root=job.root,  # several datasets are merged into one before
        dataset=get_dataset_name(job.document) if job.root else "",
        tasks=_list_tasks(parameters),
        scenes=_find_scenes(job),
        work=work,
        renames=job.renames,
        options=job.arguments,
        results=output / RESULTS_FOLDER,
        kept_policy=kept_policy,
        link_policy=_can_link_policy(job),
        lock=_digest_lock(job.document),
        conditions_digest=references.digest_conditions(parameters, job.document.trainer_args),
        tags=_make_training_tags(job),
    )


def _digest_lock(document: JobDocument) -> str:
    """Return the SHA-256 of the locked packages; empty for an environment of the user's own."""
    if document.placement.environment:
        return ""
    lock = read_lock(environment(document).lock)
    return hashlib.sha256((lock + document.program_lock).encode()).hexdigest()


def _list_tasks(values: Mapping[str, Any]) -> list[str]:
    """Return the names of the chosen tasks; none for an environment's only one."""
    if values["env_tasks"] is None:
        return []
    return simulation.select_tasks(
        values["env_tasks"], simulation.get_catalog(values["env"], values["lerobot_version"])
    )


def _can_link_policy(job: LerobotJob) -> bool:
    """Return whether nobody writes into the policy's files, so that they may be linked instead of copied.

    That holds in the cache, and for a sealed checkpoint below the name of its own run: elsewhere users may work on it.
    """
    folder = job.policy_folder
    if folder is None:
        return False
    manifest = read_checkpoint_manifest(folder)
    is_sealed = manifest is not None and manifest.run in folder.resolve().parts
    return is_sealed or folder.resolve().is_relative_to(Path(job.document.placement.cache).resolve())
