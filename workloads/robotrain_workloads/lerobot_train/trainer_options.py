"""The options of LeRobot's trainer that robotrain gives it, for a job: before submission and on the job's machine."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot import feature_renames, image_weights, policy_features, precision, versions
from robotrain_workloads.lerobot.job import GivenJob, LerobotJob
from robotrain_workloads.lerobot.lineage import START_MODES
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.start import TRAIN_CONFIG_FILE, Start
from robotrain_workloads.lerobot_train import adapter_options, schedule_options

CAMERAS, FEATURES = "num_cameras", "input_features"
DECODER, PYAV = "--dataset.video_backend", "pyav"
TOLERANCE = "--tolerance_s"


def make_options(
    job: LerobotJob, root: Path, output: Path, workers: int | None = None, tolerance: float | None = None
) -> Iterator[str]:
    """Yield the options, except for the device, which only the job's machine knows; the user's follow.

    :param root: the dataset.
    :param workers: the processes that load data; None while the machine is unknown.
    :param tolerance: seconds that a frame may be off; None for LeRobot's own.
    """
    yield from make_owned_options(job, root, output, workers)
    yield from _make_picture_options(job)
    yield from make_default_options(job, tolerance)


def make_owned_options(job: LerobotJob, root: Path, output: Path, workers: int | None = None) -> Iterator[str]:
    """Yield the options that no user sets after `--`."""
    parameters, start, model = job.parameters, job.start, job.model
    steps = parameters["training_steps"]
    eval_freq = parameters["eval_freq"]
    split = parameters["val_split"] or 0
    requested_interval = parameters["save_freq"] if eval_freq is None else eval_freq
    interval = (
        _limit_interval(requested_interval, start.step, steps) if split else 0
    )  # LeRobot refuses a loss of no episodes
    if start.mode == "checkpoint":
        yield f"--config_path={start.folder / TRAIN_CONFIG_FILE}"
        yield "--resume=true"
    else:  # the options `path` and `type` exclude each other
        is_new = start.mode == "scratch"
        yield model.format_option("type", model.kind) if is_new else model.format_option("path", start.folder)
        if model.rate_option and (rate := schedule_options.get_learning_rate(job)) is not None:
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
    yield f"--log_freq={_limit_interval(parameters['log_freq'], start.step, steps)}"
    yield f"--seed={parameters['seed']}"
    yield f"--num_workers={(parameters['num_workers'] or 0) if workers is None else workers}"
    yield model.format_option("push_to_hub", "false")
    yield "--save_checkpoint_to_hub=false"


def make_default_options(job: LerobotJob, tolerance: float | None = None) -> Iterator[str]:
    """Yield defaults for options that the user may set after `--`."""
    user_options, model = job.options, job.model

    def is_free(name: str) -> bool:
        return name in model.options and model.format_flag(name) not in user_options

    if tolerance is not None and TOLERANCE not in user_options:
        yield f"{TOLERANCE}={tolerance:g}"
    yield from precision.make_options(job)
    if job.start.mode != "scratch" and image_weights.WEIGHTS_OPTION in model.options:  # else LeRobot downloads them
        yield model.format_option(image_weights.WEIGHTS_OPTION, "null")
    yield from (model.format_option(*pair) for pair in model.facts.training_options.items() if is_free(pair[0]))
    yield from adapter_options.make_options(job)
    if job.start.mode != "checkpoint":  # whose optimizer and schedule resume as saved
        yield from schedule_options.make_options(job)


def list_job_options(given_job: GivenJob, settings: Mapping[str, Any] | None) -> tuple[dict[str, object], str]:
    """Return the options that LeRobot gets for a job, and the number format in its environment.

    They are none for a job that continues a training.

    :param settings: the configuration of what it starts from; None if it is unknown.
    """
    job = LerobotJob(given_job)
    if source := job.start_source:
        if source.role == "resume":
            return {}, ""
        start = Start(mode=START_MODES[source.role], folder=Path(source.uri), settings=settings or {})
        job = LerobotJob(given_job, start=start)
    own_options = (*make_owned_options(job, Path("dataset"), Path("outputs")), *make_default_options(job))
    options: dict[str, object] = dict(split_options([*own_options, *job.arguments]))
    if job.parameters["device"] != "auto":  # the launcher adds it
        options |= {f"{model}.device": job.parameters["device"] for model in ("policy", "reward_model")}
    return options, str(job.parameters["mixed_precision"] or "")


def _make_picture_options(job: LerobotJob) -> Iterator[str]:
    """Yield the cameras of the data for a new reward model that counts them: LeRobot does so for policies only."""
    model, is_policy = job.model, job.model.section == versions.POLICIES
    if job.start.mode != "scratch" or is_policy or CAMERAS not in model.options or not job.info:
        return
    inputs = policy_features.make_new_settings(job.info)["input_features"]
    pictures = {name: feature for name, feature in inputs.items() if feature.get("type") == "VISUAL"}
    picture_options: dict[str, object] = {CAMERAS: len(pictures), FEATURES: json.dumps(pictures)}
    yield from (
        model.format_option(*pair) for pair in picture_options.items() if model.format_flag(pair[0]) not in job.options
    )


def _limit_interval(interval: int, first_step: int, steps: int) -> int:
    """Return an interval that is met between the first step and the last, be it only at the last; 0: never.

    No other step may be met: to compute a loss draws random numbers, which the training would miss.
    """
    limited_interval = min(interval, steps)
    return (
        limited_interval
        if limited_interval == 0 or steps // limited_interval * limited_interval > first_step
        else steps
    )
