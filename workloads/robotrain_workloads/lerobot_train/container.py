"""`lerobot-train` in the container: environment, problems with inputs, LeRobot's options, and where it publishes."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import job_node
from robotrain_runtime.contract.container_plugin import (
    GpuRequirement,
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.event import Note

from robotrain_workloads.lerobot import (
    backbones,
    dataset,
    dataset_preparation,
    device,
    feature_renames,
    hub_cache,
    image_weights,
    lineage,
    parameters,
    policy,
    policy_card,
    policy_features,
    policy_packages,
    policy_repositories,
    precision,
    run_setup,
    start,
    versions,
)
from robotrain_workloads.lerobot.options import list_option_names
from robotrain_workloads.lerobot.start import Start
from robotrain_workloads.lerobot.trained_model import choose_model
from robotrain_workloads.lerobot.warm_up import CHECK_ONLY, TAKE_OVER
from robotrain_workloads.lerobot_data_check import comparison
from robotrain_workloads.lerobot_train import (
    adapter_options,
    card,
    implied_inputs,
    published_checkpoints,
    schedule_options,
    tracking,
    wandb,
    worker_count,
)
from robotrain_workloads.nodes import node_launch

LAUNCHER = "robotrain_workloads.lerobot_train.launcher"
CHECK_PACKAGE = ".".join((__name__.partition(".")[0], "lerobot_check"))
MULTI_GPU_LAUNCHER = "robotrain_workloads.lerobot_train.multi_gpu_launcher"
ENVIRONMENT = run_setup.make_environment("train")
TRAIN_CONFIG = "pretrained_model/train_config.json"
DESCRIBED = {
    "dataset": (dataset.INFO_FILE.as_posix(), dataset.STATISTICS_FILE),
    "policy": (*policy.DESCRIPTION_FILES, *policy.PROCESSOR_DESCRIPTION_FILES),
    "init_policy": policy.DESCRIPTION_FILES,
    "resume": (
        *policy.DESCRIPTION_FILES,
        *policy.PROCESSOR_DESCRIPTION_FILES,
        policy.STEP_FILE.as_posix(),
        TRAIN_CONFIG,
    ),
}
CAMERAS, FEATURES = "num_cameras", "input_features"
FULL_PRECISION = "no"
SHORT_WAIT = {"GOMP_SPINCOUNT": "1000"}
"""Threads that wait for others soon leave their core, which is by default after milliseconds: measured where other
programs use the cores, a step on the CPU takes a sixth of the time. Its result is the same.
"""
DECODER = "--dataset.video_backend"
TOLERANCE = "--tolerance_s"
RULES_MODULE = ".".join((*__name__.split(".")[:1], "lerobot_options", "start_rules"))
"""It is not in the payload: on the machine of a job, LeRobot itself has the rules."""
prepare = dataset_preparation.plan_preparation
checkpoints = start.get_checkpoints_folder
implied_sources = implied_inputs.implied_sources
find_dataset_root = implied_inputs.find_dataset_root


def environment(document: JobDocument) -> PythonEnvironment:
    """Return the environment of the job's LeRobot."""
    return run_setup.make_environment("train", document.parameters["lerobot_version"])


def compare(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield problems that descriptions alone show, mismatches of policy and data included."""
    data_problems = list(dataset_preparation.find_data_problems(document, described, description_only=True))
    yield from data_problems
    yield from policy_repositories.find_problems(document, described, lineage.find_start_source(document.sources))
    yield from image_weights.find_problems(document, _find_needed_weights(document, described))
    if not data_problems and (root := find_dataset_root(described)):
        yield from start.find_mismatches(document, described, root)
        yield from comparison.find_problems(document, described, root)
    yield from adapter_options.find_problems(document, described)
    yield from _find_precision_problems(document, described)
    yield from _find_broken_rules(document, described)


def list_warnings(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield what LeRobot accepts, though it is probably not what is meant."""
    begin = lineage.find_start_source(document.sources)
    yield from policy_repositories.list_warnings(document, described, begin)
    weights = _find_needed_weights(document, described)
    model = choose_model(document.parameters, {})
    yield from image_weights.list_warnings(document, weights, model, is_new=begin is None)
    yield from start.list_part_warnings(document, described)
    if root := find_dataset_root(described):
        yield from start.list_camera_warnings(document, described, root)
        yield from comparison.list_warnings(document, described, root)


def needed_files(document: JobDocument, source: JobSource) -> Sequence[str]:
    """Return patterns of the files that are read of a backbone; empty for all."""
    if source.role != backbones.BACKBONE_ROLE or backbones.is_weights(source):
        return ()
    return policy_repositories.list_needed_files(document, source, lineage.find_start_source(document.sources))


def describe_output(document: JobDocument, described: Mapping[JobSource, Path], folder: Path) -> None:
    """Write the configuration and the processor of the policy that the training will make, if they are known.

    Of an adapter, its base too.
    """
    if settings := start.predict_policy_settings(document, described, find_dataset_root(described)):
        named: dict[str, Any] = dict(backbones.list_naming_options(document.parameters, document.trainer_args))
        with suppress(OSError, ValueError):  # reported with the problems of the start
            named |= {"use_peft": True} if adapter_options.describe_adapter(document, described, folder) else {}
        (folder / policy.CONFIG_FILE).write_text(json.dumps({**settings, **named}), encoding="utf-8")
        if steps := start.predict_processor_steps(document, described):
            (folder / policy.PROCESSOR_FILES[0]).write_text(json.dumps({"steps": steps}), encoding="utf-8")


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield problems in small files that LeRobot would fail on."""
    data_problems = list(dataset_preparation.find_data_problems(document, data))
    yield from data_problems
    yield from map("\n".join, parameters.find_device_problems(document.parameters))
    root = None if data_problems else find_dataset_root(data)
    yield from start.find_start_problems(document, data, root)
    begin = lineage.find_start_source(document.sources)
    yield from policy_repositories.find_problems(document, data, begin, is_complete=True)
    yield from adapter_options.find_problems(document, data)
    if root is not None:
        yield from comparison.find_problems(document, data, root, is_complete=True)
    yield from _find_precision_problems(document, data)
    if document.parameters["wandb"]:
        yield from wandb.find_wandb_problems(document.placement.ways, os.environ)
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    yield from start.find_output_problems(document, output)
    yield from published_checkpoints.find_problems(document, output, start.get_start_step(data))


def _find_precision_problems(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield why what is trained cannot compute in the number format of the job, if its type is known."""
    with suppress(OSError, ValueError):
        model = choose_model(document.parameters, start.load_start(data).settings)
        problems = precision.find_precision_problems(document.parameters, document.trainer_args, model)
        yield from (f"{title}\n{', or '.join(ways)}" for title, ways in problems)


def _find_broken_rules(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield why LeRobot refuses options after `--` for the policy that the training starts from."""
    values, options = {**document.parameters, "num_workers": 0}, document.trainer_args

    def list_own(begin: Start) -> Iterator[str]:
        yield from make_owned_options(values, Path("dataset"), Path("outputs"), begin)
        yield from make_default_options(values, options, begin)

    with suppress(ModuleNotFoundError):
        yield from importlib.import_module(RULES_MODULE).find_start_problems(document, described, list_own)


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the launcher's command, for the training environment. Raise OSError."""
    hub_cache.fill_cache(data, work, policy_repositories.get_trusted(document))
    root = find_dataset_root(data) or Path()
    output = run_setup.resolve_output_folder(document, work)
    recovered, notes = start.recover_previous_attempt(document, output)
    begin = recovered or start.load_start(data)
    user_options = _list_user_options(document, begin)
    if recovered is None:
        resumed = start.list_resume_notes(document.parameters, begin) if begin.mode == "checkpoint" else ()
        warnings = (Note(level="warning", text=text) for text in list_warnings(document, data))
        notes = (*notes, *resumed, *warnings, *feature_renames.list_notes(document.parameters, begin.settings))
    workers, worker_notes = worker_count.choose_worker_count(document, begin, root)
    values = {**document.parameters, "num_workers": workers}
    wandb_options: Iterable[str] = ("--wandb.enable=false",)
    if values["wandb"]:
        new_run = recovered is None and begin.mode == "checkpoint"
        model = choose_model(values, begin.settings)
        project = tracking.get_experiment_name({**values, model.parameter: model.kind})
        wandb_options = wandb.make_wandb_options(project, user_options, os.environ, new_run=new_run)
    defaults = make_default_options(values, user_options, begin, dataset.compute_frame_tolerance(root))
    pictures = make_picture_options(values, user_options, begin, root)
    options = (*make_owned_options(values, root, output, begin), *pictures, *wandb_options, *defaults)
    launcher = _make_launcher_arguments(document, data, begin)
    return WorkCommand(
        arguments=(*node_launch.make_arguments(document, work, [*launcher, "--", *options, *user_options]),),
        environ={**make_environ(document, work), **node_launch.make_environ(document)},
        notes=(*notes, *worker_notes),
    )


def warm_up(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the launcher's command that imports LeRobot and checks its options, as far as they are known."""
    alone = _count_ranks(document) == 1
    options: tuple[str, ...] = ()
    with suppress(OSError, ValueError):
        begin = start.load_start(described)
        is_start_known = lineage.find_start_source(described) == lineage.find_start_source(document.sources)
        needs_backbone = backbones.is_read_at_parsing(document.parameters)  # which is not here yet
        if begin.mode != "checkpoint" and is_start_known and not needs_backbone:
            values = {**document.parameters, "num_workers": document.parameters["num_workers"] or 0}
            user_options = _list_user_options(document, begin)
            options = (
                *make_owned_options(values, Path("dataset"), work / "unmade", begin),
                *make_default_options(values, user_options, begin),
                choose_model(values, begin.settings).format_option("device", "cpu"),
                *user_options,
            )
    arguments = ("-m", LAUNCHER, TAKE_OVER if alone else CHECK_ONLY, *options)
    return WorkCommand(arguments=arguments, environ=make_environ(document, work), takes_over=alone)


def check_command(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand | None:
    """Return the command that asks LeRobot about the options of the training; None if its start is not here."""
    module = importlib.import_module(f"{CHECK_PACKAGE}.training_command")  # a job does not carry it
    command: WorkCommand | None = module.make_check_command(document, described, work)
    return command


def make_environ(document: JobDocument, work: Path) -> dict[str, str]:
    """Return the environment variables that are added for LeRobot. `work`: the run's own folder."""
    number_format = str(document.parameters["mixed_precision"] or FULL_PRECISION)
    return {
        **run_setup.make_hub_environment(document, work),
        **policy_packages.make_environ(document),
        parameters.PRECISION_VARIABLE: number_format,
        **({} if os.environ.keys() & {*SHORT_WAIT, "OMP_WAIT_POLICY"} else SHORT_WAIT),
    }


def make_owned_options(parameters: Mapping[str, Scalar], root: Path, output: Path, start: Start) -> Iterator[str]:
    """Yield the options that robotrain owns, except for the device, which only the run's machine knows."""
    steps, eval_freq = _expect_int(parameters["training_steps"]), parameters["eval_freq"]
    every = _expect_int(parameters["save_freq"] if eval_freq is None else eval_freq)
    split = parameters["val_split"] or 0
    interval = _limit_interval(every, start.step, steps) if split else 0  # LeRobot refuses a loss of no episodes
    model = choose_model(parameters, start.settings)
    if start.mode == "checkpoint":
        yield f"--config_path={start.folder / TRAIN_CONFIG}"
        yield "--resume=true"
    else:  # the options `path` and `type` exclude each other
        is_new = start.mode == "scratch"
        yield model.format_option("type", model.kind) if is_new else model.format_option("path", start.folder)
        if model.rate_option and (rate := schedule_options.get_learning_rate(parameters, start)) is not None:
            yield model.format_option(model.rate_option, rate)
    if start.mode != "scratch" and (renames := feature_renames.parse_renames(parameters)):
        yield feature_renames.format_option(renames)
    yield f"--dataset.repo_id={parameters['dataset_id']}"
    yield f"--dataset.root={root}"
    yield f"--dataset.use_imagenet_stats={str(parameters['image_normalization'] == 'imagenet').lower()}"
    yield f"--dataset.eval_split={split}"
    yield f"--eval_steps={interval}"
    yield "--env_eval_freq=0"
    yield f"--output_dir={output}"
    yield f"--job_name={parameters['job_name']}"
    yield f"--steps={steps}"
    yield f"--batch_size={parameters['batch_size']}"
    yield f"--save_freq={parameters['save_freq']}"
    yield f"--log_freq={_limit_interval(_expect_int(parameters['log_freq']), start.step, steps)}"
    yield f"--seed={parameters['seed']}"
    yield f"--num_workers={parameters['num_workers']}"
    yield model.format_option("push_to_hub", "false")
    yield "--save_checkpoint_to_hub=false"


def make_default_options(
    parameters: Mapping[str, Scalar], options: Sequence[str], start: Start, tolerance: float | None = None
) -> Iterator[str]:
    """Yield defaults for options that the user may set after `--`. `tolerance`: seconds that a frame may be off."""
    names, model = list_option_names(options), choose_model(parameters, start.settings)

    def is_free(name: str) -> bool:
        return name in model.options and f"--{model.prefix}.{name}" not in names

    if DECODER not in names:
        yield f"{DECODER}=pyav"
    if tolerance is not None and TOLERANCE not in names:
        yield f"{TOLERANCE}={tolerance:g}"
    yield from precision.make_precision_options(parameters, options, start.settings)
    if start.mode != "scratch" and is_free(image_weights.WEIGHTS_OPTION):  # else LeRobot downloads what it replaces
        yield model.format_option(image_weights.WEIGHTS_OPTION, "null")
    yield from (model.format_option(*one) for one in model.facts.training_options.items() if is_free(one[0]))
    yield from adapter_options.make_options(parameters, options, start)
    if start.mode == "checkpoint":  # optimizer and schedule resume as saved
        return
    yield from schedule_options.make_options(parameters, options, start)


def make_picture_options(
    parameters: Mapping[str, Scalar], options: Sequence[str], start: Start, root: Path
) -> Iterator[str]:
    """Yield the cameras of the data for a new reward model that counts them: LeRobot does so for policies only."""
    names, model = list_option_names(options), choose_model(parameters, start.settings)
    wanted = [name for name in (CAMERAS, FEATURES) if f"--{model.prefix}.{name}" not in names]
    if start.mode != "scratch" or model.section == versions.POLICIES or CAMERAS not in model.options:
        return
    inputs = policy_features.make_new_settings(dataset.load_dataset_info(root))["input_features"]
    pictures = {name: feature for name, feature in inputs.items() if feature.get("type") == "VISUAL"}
    values: dict[str, object] = {CAMERAS: len(pictures), FEATURES: json.dumps(pictures)}
    yield from (model.format_option(name, values[name]) for name in wanted)


def _list_user_options(document: JobDocument, start: Start) -> list[str]:
    """Return the options after `--` that LeRobot gets."""
    options = list(document.trainer_args)
    if start.mode == "scratch":
        return options
    return image_weights.drop_option(options, choose_model(document.parameters, start.settings))


def _find_needed_weights(document: JobDocument, data: Mapping[JobSource, Path]) -> str:
    """Return the weights that the cameras' network starts from; empty for none."""
    return image_weights.find_needed(document, lineage.find_start_source(document.sources), find_dataset_root(data))


def _limit_interval(interval: int, first: int, steps: int) -> int:
    """Return an interval that is met between the first step and the last, be it only at the last; 0: never.

    No other step may be met: to compute a loss draws random numbers, which the training would miss.
    """
    limited = min(interval, steps)
    return limited if limited == 0 or steps // limited * limited > first else steps


def _expect_int(value: Any) -> int:
    assert isinstance(value, int)
    return value


def gpus(document: JobDocument) -> GpuRequirement | None:
    """Return the GPUs that the job needs; None if it also runs without."""
    return device.find_gpu_requirement(document.parameters, run_setup.read_cuda_version(environment(document).lock))


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run."""
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    return tracking.describe_tracking_run(document, output)


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    """Return the metadata of a registered checkpoint."""
    values, first = document.parameters, start.get_start_step(data)
    return PublishingSpec(
        register=str(values["register_checkpoint"] or ""),
        description=tracking.describe_model(document, data),
        tags=tracking.make_model_tags(document, data),
        lineage=tracking.make_lineage(document),
        describes=card.describe_policy(document, data),
        path_files=policy_card.PATH_FILES,
        hands_over=str(values["evaluate_checkpoints"] or ""),
        saved_steps=published_checkpoints.list_saved_steps(document, first) if values["evaluate_checkpoints"] else (),
    )


targets = published_checkpoints.list_targets


def _make_launcher_arguments(document: JobDocument, data: Mapping[JobSource, Path], begin: Start) -> Iterator[str]:
    values = document.parameters
    if (ranks := _count_ranks(document)) == 1:
        yield from ("-m", LAUNCHER)
    else:
        yield from ("-m", MULTI_GPU_LAUNCHER, f"--count={values['num_gpus']}")
        yield from (f"--mixed-precision={values['mixed_precision'] or FULL_PRECISION}", "--")
    yield from ("--device", str(values["device"]))
    if ranks > 1:
        yield from (f"--nodes={job_node.count_nodes(document)}", f"--ranks={ranks}")
        yield f"--batch={values['batch_size']}"
    model = choose_model(values, begin.settings)
    if model.section == versions.REWARD_MODELS:
        yield f"--trains={model.prefix}"
    if begin.step:
        yield f"--first={begin.step}"
    if begin.mode == "weights":
        yield "--new-processors"
    yield from adapter_options.make_launcher_arguments(document, data, begin)
    weights = _find_needed_weights(document, data) if begin.mode == "scratch" else ""
    if weights and (source := image_weights.find_source(data, weights)):
        yield from ("--weights", str(image_weights.find_file(data[source])), f"--weights-name={weights}")
        if source.kind != backbones.TORCHVISION_KIND:
            yield "--given-weights"
    if model.facts.reads_task:
        yield "--reads-task"
    if values["num_workers"] == 0:
        yield "--loads-alone"
    if values["allow_non_finite"]:
        yield "--allow-non-finite"
    if not tracking.name_type(values):  # the job names none, and its start could not be read before
        yield f"--tag=lerobot.{model.parameter}={model.kind}"
    yield from (f"--tag={name}={value}" for name, value in lineage.make_parent_tags(data).items())


def _count_ranks(document: JobDocument) -> int:
    """Return the processes that train together."""
    return _expect_int(document.parameters["num_gpus"]) * job_node.count_nodes(document)
