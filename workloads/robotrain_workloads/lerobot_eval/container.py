"""`lerobot-eval` in the container: environment, problems with inputs, the command, its tracking run, what it publishes.

Names of parameters and tags: contract, D.5.
"""

import dataclasses
import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.container_plugin import (
    GpuRequirement,
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads import publish_url
from robotrain_workloads.lerobot import (
    backbones,
    dataset,
    dataset_preparation,
    device,
    hub_cache,
    lineage,
    policy,
    policy_packages,
    policy_repositories,
    run_setup,
)
from robotrain_workloads.lerobot.lineage import get_dataset_name, read_checkpoint_manifest
from robotrain_workloads.lerobot.options import format_options
from robotrain_workloads.lerobot.warm_up import TAKE_OVER
from robotrain_workloads.lerobot_eval import policy_checkpoints
from robotrain_workloads.lerobot_eval.inputs import compatibility, held_out, selection, simulation, tasks
from robotrain_workloads.lerobot_eval.parameters import choose_lock, list_image_packages

ENVIRONMENT = run_setup.make_environment("eval")

LAUNCHER = "robotrain_workloads.lerobot_eval.launcher"
CHECK_PACKAGE, DATA_CHECK_PACKAGE = (
    ".".join((__name__.partition(".")[0], name)) for name in ("lerobot_check", "lerobot_data_check")
)
RESULTS_FOLDER = "eval_results"
STARTS_FILE = "starts.json"
LONGEST_ARGUMENT = 10_000
"""Characters on a command line; systems limit an argument to 128 KiB."""
POLICY_FOLDER = "policy"
"""Folder below the output folder for the evaluated policy, under its step."""
FORWARDED_PARAMETERS = {
    "eval_episodes": "episodes",
    "eval_batch_size": "batch",
    "seed": "seed",
    "device": "device",
    "job_name": "job-name",
    "replay_episodes": "replay-episodes",
    "env": "env",
    "env_steps": "env-steps",
    "task_description": "task-description",
    "rename": "rename",
    "success_reward": "success-reward",
    "success_threshold": "success-threshold",
    "env_workers": "workers",
    "confirm": "confirm",
}
"""Parameters that are forwarded unchanged if set, and their options."""
COPIED_PARAMETERS = (
    *("job_name", "eval_episodes", "eval_batch_size", "replay_episodes", "env", "env_steps", "starts"),
    *("success_reward", "success_threshold", "record_video", "seed", "system_metrics", "checkpoints"),
    "confirm",
    *("env_tasks", "task_description", "rename"),
)
"""Parameters that become those of the tracking run if set."""
OF_ONE_CHECKPOINT = (model_lineage.POLICY_STEP, model_lineage.POLICY_DIGEST)
DESCRIBED = {
    **dataset_preparation.DESCRIPTION_FILES,
    "policy": (*policy.DESCRIPTION_FILES, *policy.PROCESSOR_DESCRIPTION_FILES),
}
prepare = dataset_preparation.plan_preparation
targets = publish_url.list_targets


def environment(document: JobDocument) -> PythonEnvironment:
    """Return the environment of the job's LeRobot."""
    lock, version = choose_lock(document.parameters), document.parameters["lerobot_version"]
    locked = run_setup.make_environment(lock, version, gib=9.0 if lock == "eval" else 10.0)
    return dataclasses.replace(locked, required_modules=list_image_packages(document.parameters))


def takes_any_policy(document: JobDocument) -> bool:
    """Return whether the policy is a folder of checkpoints."""
    return document.parameters[policy_checkpoints.PARAMETER] is not None


def compare(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield problems that descriptions alone show, mismatches of policy and data included."""
    described = policy_checkpoints.view_newest(document, described)
    yield from dataset_preparation.find_data_problems(document, described, description_only=True)
    if reward_model := compatibility.explain_reward_model(document, described):
        yield reward_model
        return
    yield from compatibility.find_mismatches(document, described)
    yield from policy_repositories.find_problems(document, described, selection.find_policy_source(document.sources))
    yield from _find_missing_episodes(document, described)
    yield from _find_unmet_needs(document, described)


def list_warnings(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield what is accepted, though it is probably not what is meant."""
    described = policy_checkpoints.view_newest(document, described)
    yield from policy_repositories.list_warnings(document, described, selection.find_policy_source(document.sources))


def implied_sources(document: JobDocument, described: Mapping[JobSource, Path]) -> Mapping[str, Sequence[str]]:
    """Return the backbones and tokenizers that the policy reads and no source brings."""
    described = policy_checkpoints.view_newest(document, described)
    return policy_repositories.list_implied(document, described, selection.find_policy_source(document.sources))


def needed_files(document: JobDocument, source: JobSource) -> Sequence[str]:
    """Return patterns of the files that are read of a backbone, or of checkpoints; empty for all."""
    if source.role == selection.POLICY_ROLE and takes_any_policy(document):
        return policy_checkpoints.FILE_PATTERNS
    if source.role != backbones.BACKBONE_ROLE:
        return ()
    return policy_repositories.list_needed_files(document, source, selection.find_policy_source(document.sources))


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield problems in small files that LeRobot would fail on."""
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    yield from policy_checkpoints.find_problems(document, data)
    data = policy_checkpoints.view_newest(document, data)
    yield from dataset_preparation.find_data_problems(document, data)
    if reward_model := compatibility.explain_reward_model(document, data):
        yield reward_model
        return
    yield from _find_policy_problems(document, data)
    yield from compatibility.find_mismatches(document, data)
    source = selection.find_policy_source(document.sources)
    yield from policy_repositories.find_problems(document, data, source, is_complete=True)
    yield from _find_missing_episodes(document, data)
    yield from _find_unmet_needs(document, data)
    yield from _find_split_problems(document, data)
    if output.exists() and not output.is_dir():
        yield f"the output folder {output} is a file\n--output-dir FOLDER"
    elif (output / RESULTS_FOLDER).exists() and not run_setup.is_own_output(Path(document.placement.work), output):
        yield f"the output folder {output} has results of another evaluation\n--output-dir NEW_FOLDER"
    yield from publish_url.find_write_problems(str(document.parameters["publish_url"] or ""), output, "results")


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the launcher's command, for the run's environment. Raise OSError."""
    hub_cache.fill_cache(data, work, policy_repositories.get_trusted(document))
    arguments = tuple(_make_launcher_arguments(document, data, work))
    return WorkCommand(arguments=arguments, environ=_make_environ(document, work))


def warm_up(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the launcher's command that imports LeRobot and checks the policy's options, if the policy is known."""
    described = policy_checkpoints.view_newest(document, described)
    model: Path | str | None = selection.find_policy_folder(described)
    is_new = selection.find_policy_source(document.sources) is None
    if is_new and not backbones.is_read_at_parsing(document.parameters):  # else it reads what is not here yet
        model = selection.get_builtin_type(document.parameters)
    own = (argument for argument in document.trainer_args if argument.startswith("--policy."))
    options = (str(model), *own) if model else ()
    environ = _make_environ(document, work)
    return WorkCommand(arguments=("-m", LAUNCHER, TAKE_OVER, *options), environ=environ)


def _make_environ(document: JobDocument, work: Path) -> dict[str, str]:
    return {**run_setup.make_hub_environment(document, work), **policy_packages.make_environ(document)}


def check_command(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand | None:
    """Return the command that asks LeRobot about the policy's options; None if there are none, or it is not here."""
    described = policy_checkpoints.view_newest(document, described)
    module = importlib.import_module(f"{CHECK_PACKAGE}.evaluation_command")  # a job does not carry it
    command: WorkCommand | None = module.make_check_command(document, described, work)
    return command


def gpus(document: JobDocument) -> GpuRequirement | None:
    """Return the GPUs that the job needs; None when it also runs without."""
    if document.parameters["device"] != "cuda":
        return None
    cuda = run_setup.read_cuda_version(environment(document).lock)
    return GpuRequirement(count=1, cuda=cuda, without=device.WITHOUT_GPU)


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the experiment, the run's name, parameters and tags. The launcher adds what only it knows."""
    values, has_dataset = document.parameters, bool(lineage.list_dataset_sources(document))
    reference, dataset_name = selection.get_policy_reference(document), get_dataset_name(document)
    params = {
        "policy_repo_id": reference.name,
        "policy_source": reference.origin,
        **({"dataset_repo_id": dataset_name} if has_dataset else {}),
        **{name: values[name] for name in COPIED_PARAMETERS if values[name] is not None},
        **({"starts": simulation.summarize_starts(str(values["starts"]))} if values["starts"] else {}),
        **({"options": format_options(document.trainer_args)} if document.trainer_args else {}),
        **policy_packages.describe(document),
    }
    tags = {
        "lerobot.framework": "lerobot",
        "lerobot.job_name": str(values["job_name"]),
        "policy.source": reference.origin,
        "policy.pin": reference.pin,
        "dataset.repo_id": dataset_name if has_dataset else "",
        "dataset.source": lineage.describe_dataset_kind(document.sources) if has_dataset else "",
        "model.register_name": str(values["register_model"] or ""),
    }
    source = selection.find_policy_source(document.sources)
    local = Path(source.uri) if source and source.kind == "local_path" else None
    policy_type = _get_policy_type(document, local) or "policy"
    return TrackingSpec(
        experiment=str(values["experiment_name"] or f"lerobot-{policy_type}-inference"),
        run_name=str(values["job_name"]),
        params=params,
        tags={name: value for name, value in tags.items() if value},
        machine=bool(values["system_metrics"]),
    )


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    """Return the metadata of a registered policy."""
    data = policy_checkpoints.view_newest(document, data)
    values, reference = document.parameters, selection.get_policy_reference(document)
    policy_type = _get_policy_type(document, selection.find_policy_folder(data))
    training_tags, azureml_tags = _make_training_tags(document, data), lineage.make_azureml_tags(document)
    if takes_any_policy(
        document
    ):  # which of them is registered is not known yet: its folder's name, a tag too, is its step
        training_tags = {name: tag for name, tag in training_tags.items() if name not in OF_ONE_CHECKPOINT}
    lines = [
        f"LeRobot {policy_type} policy: {reference.name}{lineage.describe_pin(reference.pin)}",
        f"Registered by: {values['job_name']} (run {document.run}), which evaluated it",
        *(f"Azure ML job: {name}" for name in azureml_tags.values()),
    ]
    tags = {
        "framework": "lerobot",
        "policy_type": policy_type,
        "job_name": str(values["job_name"]),
        "source": f"{document.platform}-lerobot-inference",
        "policy_uri": reference.name,
        "policy_source": reference.origin,
        "policy_pin": reference.pin,
        **training_tags,
        **azureml_tags,
        **policy_packages.describe(document),
    }
    env, datasets = str(values["env"] or ""), lineage.list_dataset_sources(document)
    return PublishingSpec(
        register=str(values["register_model"] or ""),
        description="\n".join(lines),
        tags={name: value for name, value in tags.items() if value},
        evaluated_on=(lineage.make_dataset_tags(document) if datasets else {}) | ({"env": env} if env else {}),
        lineage={
            "policy_uri": reference.name,
            "policy_source": reference.origin,
            "policy_pin": reference.pin or None,
            **{name: training_tags.get(name) for name in ("policy_run", "policy_step")},
            "evaluated_on": [[source.kind, source.uri, source.pin] for source in datasets],
            "azureml_run_id": azureml_tags.get("azureml_run_id"),
        },
    )


def _make_training_tags(document: JobDocument, data: Mapping[JobSource, Path]) -> dict[str, str]:
    """Return the run that trained the policy, from its checkpoint or the cache."""
    if tags := {name.replace("parent", "policy", 1): value for name, value in lineage.make_parent_tags(data).items()}:
        return tags
    source = selection.find_policy_source(data)
    return model_lineage.read_policy_lineage(Path(document.placement.cache), data[source]) if source else {}


def _get_policy_type(document: JobDocument, folder: Path | None) -> str:
    """Return the type from the policy's files, else as the user expects it."""
    values = document.parameters
    if values["builtin_policy"]:
        return selection.get_builtin_type(values)
    with suppress(OSError, ValueError):
        if folder:
            return str(policy.load_policy_settings(policy.find_model_folder(folder)).get("type") or "")
    return str(values["policy_type"] or "")


def _find_policy_problems(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield problems of the policy's files, for any type of LeRobot."""
    if selection.find_policy_source(document.sources) not in data:
        return
    model = selection.find_policy_folder(data)
    assert model is not None
    try:
        settings = policy.load_policy_settings(model)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if not settings.get("type"):
        yield f"{model} {policy.UNTYPED}"
    yield from policy.find_torn_files(model, with_processors=True)


def _find_unmet_needs(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield why no untrained policy of the type can be made for the dataset."""
    roots = [data[source] for source in dataset_preparation.list_datasets(document, data)]
    if not document.parameters["builtin_policy"] or not roots:
        return
    with suppress(ModuleNotFoundError):  # an evaluation does not carry it
        comparison = importlib.import_module(f"{DATA_CHECK_PACKAGE}.comparison")
        yield from comparison.find_policy_problems(document, data, roots[0])


def _find_missing_episodes(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield a sentence if the datasets do not have an episode to replay."""
    requested, flag = document.parameters["replay_episodes"], held_out.REPLAY_EPISODES_FLAG
    datasets = lineage.list_dataset_sources(document)
    if requested is None or not datasets or any(source not in data for source in datasets):
        return
    with suppress(OSError, ValueError, KeyError, TypeError):  # dataset problems are reported already
        total = sum(int(dataset.load_dataset_info(data[source])["total_episodes"]) for source in datasets)
        parts = selection.parse_episodes(str(requested)) or []
        try:
            selection.select_episodes(parts, total)
        except ValueError as error:
            left = [_format_range(part.start, min(part.stop, total)) for part in parts if part.start < total]
            yield f"{flag} {requested}: {error}" + (f"\n{flag} {','.join(left)}" if left else "")


def _format_range(start: int, stop: int) -> str:
    return f"{start}-{stop - 1}" if stop - start > 1 else str(start)


def _find_split_problems(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield a sentence if it is not known which episodes a training held out."""
    requested, flag = document.parameters["replay_episodes"], held_out.REPLAY_EPISODES_FLAG
    datasets = lineage.list_dataset_sources(document)
    if any(source not in data for source in datasets):
        return
    has_policy = selection.find_policy_source(document.sources) in data
    if requested != selection.HELD_OUT or len(datasets) != 1 or not has_policy:
        return
    if reason := held_out.explain_unknown_split(data[datasets[0]], selection.find_policy_folder(data)):
        yield f"{flag} {selection.HELD_OUT}: {reason}\n{flag} {selection.ALL}"


def _make_launcher_arguments(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> Iterator[str]:
    """Yield the arguments after python. `work`: the run's own folder. Raise OSError."""
    followed = next(((source, folder) for source, folder in data.items() if source.grows_until), None)
    chosen, data = policy_checkpoints.list_chosen(document, data), policy_checkpoints.view_newest(document, data)
    values, output = document.parameters, run_setup.resolve_output_folder(document, work)
    yield from ("-m", LAUNCHER)
    if followed:
        growing, folder = followed
        yield from (f"--follow={folder}", f"--follow-until={growing.grows_until}")
        yield f"--follow-steps={document.parameters[policy_checkpoints.PARAMETER]}"
    else:
        yield from (f"--checkpoint={folder}" for folder in chosen.values())
    model = selection.find_policy_folder(data)
    yield f"--policy={model}" if model else f"--builtin={selection.get_builtin_type(values)}"
    if found := policy_repositories.find_base(document, data, selection.find_policy_source(data)):
        yield f"--base={found[-1]}"
    reference = selection.get_policy_reference(document)
    yield from (f"--policy-name={reference.name}", f"--policy-source={reference.origin}")
    if reference.pin:
        yield f"--policy-pin={reference.pin}"
    step = selection.find_policy_step(document, data)
    yield f"--policy-step={step}"
    if root := next((folder for source, folder in data.items() if source.role == "dataset"), None):
        yield f"--root={root}"  # several datasets are merged into one before
        yield f"--dataset-name={get_dataset_name(document)}"
        if (seconds := dataset.compute_frame_tolerance(root)) is not None:
            yield f"--tolerance={seconds:g}"
    forwarded = {option: values[name] for name, option in FORWARDED_PARAMETERS.items()}
    yield from (f"--{option}={value}" for option, value in forwarded.items() if value is not None)
    if values["env_tasks"] is not None:
        catalog = tasks.get_catalog(str(values["env"]), values["lerobot_version"])
        yield f"--env-tasks={','.join(tasks.select_tasks(str(values['env_tasks']), catalog))}"
    if values["starts"] is not None:
        starts = str(values["starts"])
        if len(starts) <= LONGEST_ARGUMENT:
            yield f"--starts={starts}"
        else:
            work.mkdir(parents=True, exist_ok=True)
            (work / STARTS_FILE).write_text(starts, encoding="utf-8")
            yield f"--starts-file={work / STARTS_FILE}"
    if values["record_video"]:
        yield "--record-video"
    yield f"--results={output / RESULTS_FOLDER}"
    if not values["builtin_policy"] and (values["keep_policy"] or values["register_model"]):
        kept = output / POLICY_FOLDER  # of several, the launcher keeps the best below its own step
        yield f"--keep-policy={kept if chosen else kept / f'{step:06}'}"
        if _can_link_policy(document, data):
            yield "--link-policy"
    tags = _make_training_tags(document, data)
    yield from (f"--tag={name}={value}" for name, value in tags.items() if not (chosen and name in OF_ONE_CHECKPOINT))
    yield from ("--", *document.trainer_args)


def _can_link_policy(document: JobDocument, data: Mapping[JobSource, Path]) -> bool:
    """Return whether nobody writes into the policy's files, so that they may be linked instead of copied.

    That holds in the cache, and for a sealed checkpoint below the name of its own run: elsewhere users may work on it.
    """
    folder = selection.find_policy_folder(data)
    if folder is None:
        return False
    manifest = read_checkpoint_manifest(folder)
    is_sealed = manifest is not None and manifest.run in folder.resolve().parts
    return is_sealed or folder.resolve().is_relative_to(Path(document.placement.cache).resolve())
