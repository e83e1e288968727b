"""The options of LeRobot's trainer that robotrain gives it, for a job: before submission and on the job's machine."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.problem import Problems, make_data_problem, suggest_leaving_out

from robotrain_workloads.lerobot import adapter, image_weights, policy_features, policy_repositories, versions
from robotrain_workloads.lerobot.adapter import Base
from robotrain_workloads.lerobot.job import GivenJob, LerobotJob
from robotrain_workloads.lerobot.lineage import START_MODES
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.start import TRAIN_CONFIG_FILE, Start
from robotrain_workloads.lerobot.trained_model import WARM_UP_OPTION, TrainedModel, choose_learning_rate

DTYPE, AMP = "dtype", "use_amp"
DTYPES = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""LeRobot's names of number formats, by robotrain's."""
PREFIX = "--peft."
METHOD, RANK, ALPHA, MODULES = "method_type", "r", "lora_alpha", "target_modules"
LORA = "LORA"
RANK_FLAG = "--lora-rank"
OPTIMIZER, SCHEDULER = "optimizer", "scheduler"
DECAY, DECAY_STEPS = "optimizer_weight_decay", "scheduler_decay_steps"
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
        if model.rate_option and (rate := get_learning_rate(job)) is not None:
            yield model.format_option(model.rate_option, rate)
    if start.mode != "scratch" and (renames := policy_features.parse_renames(parameters)):
        yield policy_features.format_option(renames)
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
    yield from make_precision_options(job)
    if job.start.mode != "scratch" and image_weights.WEIGHTS_OPTION in model.options:  # else LeRobot downloads them
        yield model.format_option(image_weights.WEIGHTS_OPTION, "null")
    yield from (model.format_option(*pair) for pair in model.facts.training_options.items() if is_free(pair[0]))
    yield from make_adapter_options(job)
    if job.start.mode != "checkpoint":  # whose optimizer and schedule resume as saved
        yield from make_schedule_options(job)


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
    options: dict[str, object] = dict(
        split_options(
            [*(*make_owned_options(job, Path("dataset"), Path("outputs")), *make_default_options(job)), *job.arguments]
        )
    )
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


def get_learning_rate(job: LerobotJob) -> float | None:
    """Return the learning rate of the job, else that of what it trains; None if LeRobot's code has it alone."""
    rate: float | None = job.parameters["learning_rate"]
    return rate if rate is not None else choose_learning_rate(job.model, job.start.settings)


def make_schedule_options(job: LerobotJob) -> Iterator[str]:
    """Yield the options of the schedule that the job asks for."""
    rate, steps = job.parameters["learning_rate"], job.parameters["lr_warmup_steps"]
    if f"--{OPTIMIZER}.type" in job.options and rate is not None:  # the policy's options do not count there
        yield f"--{OPTIMIZER}.lr={rate}"
    if f"--{SCHEDULER}.type" in job.options and steps is not None:
        yield f"--{SCHEDULER}.num_warmup_steps={steps}"
    if steps is not None:
        yield from _make_warm_up_options(job, steps)


def _make_warm_up_options(job: LerobotJob, steps: int) -> Iterator[str]:
    """Yield the number of warm-up steps; where LeRobot has no schedule, one beside the optimizer that it would use."""
    model, settings = job.model, job.start.settings
    if WARM_UP_OPTION in model.options or not model.is_known:
        yield model.format_option(WARM_UP_OPTION, steps)
        decay = settings.get(DECAY_STEPS, model.defaults.get(DECAY_STEPS))
        total = job.parameters["training_steps"]
        if model.format_flag(DECAY_STEPS) not in job.options and isinstance(decay, int) and total < decay:
            yield model.format_option(DECAY_STEPS, total)  # else LeRobot shortens the warm-up as it does the decay
        return
    optimizer = dict(model.facts.optimizer)
    decay = job.option_values.get(model.format_flag(DECAY)) or settings.get(DECAY)
    yield "--use_policy_training_preset=false"
    if f"--{OPTIMIZER}.type" not in job.options:
        yield f"--{OPTIMIZER}.type={optimizer.pop('type')}"
        yield f"--{OPTIMIZER}.lr={get_learning_rate(job)}"
        for name, value in (optimizer | ({"weight_decay": decay} if decay is not None else {})).items():
            yield f"--{OPTIMIZER}.{name}={value}"
    if f"--{SCHEDULER}.type" not in job.options:
        yield f"--{SCHEDULER}.type=constant_with_warmup"
        yield f"--{SCHEDULER}.num_warmup_steps={steps}"


def read_given(job: LerobotJob) -> dict[str, str]:
    """Return the values of the options `--peft.NAME=VALUE`, by NAME."""
    options = ((name, value) for name, value in job.options.items() if name.startswith(PREFIX))
    return {name.removeprefix(PREFIX): value or "" for name, value in options}


def trains_adapter(job: LerobotJob) -> bool:
    """Return whether an adapter is trained instead of all weights."""
    is_asked = job.parameters["lora_rank"] is not None or bool(read_given(job))
    return adapter.is_adapter(job.start.settings) or (is_asked and job.start.mode in ("policy", "weights"))


def make_adapter_options(job: LerobotJob) -> Iterator[str]:
    """Yield what LeRobot needs to train an adapter, as far as the user does not say it; a checkpoint says it itself."""
    adapter_settings: dict[str, object] = {}
    if job.start.mode not in ("policy", "weights"):
        return
    if adapter.is_adapter(job.start.settings):
        with suppress(OSError, ValueError):  # reported with the other problems of its files
            saved_adapter = adapter.load_adapter(job.start.model_folder)
            adapter_settings = {METHOD: saved_adapter.method, RANK: saved_adapter.rank}
    elif (rank := job.parameters["lora_rank"]) is not None:
        adapter_settings = {METHOD: LORA, RANK: rank, ALPHA: rank}
    options = read_given(job)
    yield from (
        f"{PREFIX}{name}={value}"
        for name, value in adapter_settings.items()
        if value is not None and name not in options
    )


def explain_unknown_modules(model: TrainedModel) -> tuple[str, str]:
    """Return that LeRobot does not know what an adapter of a type changes, and what to type."""
    adapter_types = [kind for kind, facts in model.lerobot.policies.items() if facts.adapter_modules]
    title = f"LeRobot {model.lerobot.name} does not know which modules of {model.kind} an adapter changes"
    return f"{title}: it knows those of {', '.join(adapter_types)}", f"{PREFIX}{MODULES}=MODULES"


def find_problems(job: LerobotJob) -> Problems:
    """Yield why LeRobot cannot train the adapter that the job asks for, if what it starts from can be read."""
    rank = job.parameters["lora_rank"]
    options = read_given(job)
    start = job.start
    source = job.start_source
    if source is None or start.mode == "scratch":
        return
    if adapter.is_adapter(start.settings):
        try:
            saved_adapter = adapter.load_adapter(start.model_folder)
        except (OSError, ValueError) as error:
            yield str(error)
            return
        if rank is not None and (saved_adapter.method.upper() != LORA or rank != saved_adapter.rank):
            start_text = (
                f"{source.uri} is an adapter, {saved_adapter.method} of rank {saved_adapter.rank}, and "
                "LeRobot goes on with it as it is"
            )
            way = (
                f"{RANK_FLAG} {saved_adapter.rank}"
                if saved_adapter.method.upper() == LORA
                else suggest_leaving_out(RANK_FLAG)
            )
            yield make_data_problem(f"{start_text}: {RANK_FLAG} {rank} has no effect", way)
        yield from adapter.find_option_conflicts(saved_adapter, options, source.uri)
    elif rank is None and not options:
        return
    elif start.mode == "checkpoint":
        start_text = f"the checkpoint {source.uri} trains all weights of its policy, and goes on with them"
        yield make_data_problem(
            f"{start_text}: to train an adapter on it, start a new training",
            f"--policy-path CHECKPOINT {RANK_FLAG} RANK",
        )
    elif job.model.section == versions.REWARD_MODELS:
        yield f"LeRobot {job.model.lerobot.name} trains adapters of policies only, and {source.uri} is a reward model"
    elif not job.model.facts.adapter_modules and MODULES not in options:
        yield "\n-- ".join(explain_unknown_modules(job.model))


def find_base(job: LerobotJob) -> tuple[Base, Path] | None:
    """Return the policy that the adapter belongs to, and its folder; None if no adapter is trained.

    Raise OSError or ValueError.
    """
    source, run = job.start_source, job.document.run
    if source is None or job.policy_folder is None or not trains_adapter(job):
        return None
    if not adapter.is_adapter(job.start.settings):
        return adapter.describe_base(source, run), job.start.model_folder
    if base_source := policy_repositories.find_base(job):
        base, brought_source, folder = base_source
        return base if base.sha256 else adapter.describe_base(brought_source, run), folder
    return adapter.load_adapter(job.start.model_folder).base, job.policy_folder  # an earlier attempt


def make_tags(job: LerobotJob) -> dict[str, str]:
    """Return the tags of a registered adapter: its method, its rank and its base; none of a whole policy."""
    if not trains_adapter(job):
        return {}
    options = read_given(job)
    tags = {
        "adapter": options.get(METHOD, LORA),
        "adapter_rank": str(job.parameters["lora_rank"] or options.get(RANK, "")),
    }
    with suppress(OSError, ValueError):
        if adapter.is_adapter(job.start.settings):
            saved_adapter = adapter.load_adapter(job.start.model_folder)
            tags = {"adapter": saved_adapter.method, "adapter_rank": str(saved_adapter.rank or "")}
        if base_policy := find_base(job):
            tags["adapter_base"] = str(base_policy[0])
    return tags


def make_precision_options(job: LerobotJob) -> Iterator[str]:
    """Yield the option that decides over the number format, if the job names one."""
    precision, model = job.parameters["mixed_precision"], job.model
    if precision is None:
        return
    if model.facts.dtypes:
        if job.options.get(model.format_flag(DTYPE)) is None:
            yield model.format_option(DTYPE, DTYPES[precision])
    elif AMP in model.options and job.start.settings.get(AMP, model.defaults.get(AMP)):
        yield model.format_option(AMP, "false")  # PyTorch would choose the format


def find_precision_problems(job: LerobotJob) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield a sentence with remedies for a number format that what is trained does not take, or two formats."""
    if (precision := job.parameters["mixed_precision"]) is None:
        return
    model = job.known_model
    if model is None or not (formats := model.facts.dtypes):
        return
    option, wanted_dtype = model.format_flag(DTYPE), DTYPES[precision]
    setting = job.options.get(option)
    if setting is not None and setting != wanted_dtype:
        title = f"--mixed-precision {precision} and {option}={setting} contradict each other"
        yield title, (f"-- {option}={wanted_dtype}", f"leave out {option}, which --mixed-precision gives")
    elif wanted_dtype not in formats:
        ways = [f"--mixed-precision {name}" for name, dtype in DTYPES.items() if dtype in formats]
        title = f"LeRobot {model.lerobot.name}'s {model.kind} does not compute in {wanted_dtype}"
        yield title, tuple(ways)
