"""Start of a training: from scratch, a policy, a checkpoint, or what an earlier attempt of the run saved."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.event import Note

from robotrain_workloads import packages
from robotrain_workloads.lerobot import dataset, feature_renames, file_formats, policy, policy_features, versions
from robotrain_workloads.lerobot.lineage import START_MODES, StartMode, find_start_source
from robotrain_workloads.lerobot.options import get_option_value, parse_value
from robotrain_workloads.lerobot.run_setup import is_own_output, resolve_output_folder
from robotrain_workloads.lerobot.trained_model import TrainedModel, choose_model

TRAIN_CONFIG_FILE = Path(policy.MODEL_FOLDER, "train_config.json")
CHECKPOINTS_FOLDER = "checkpoints"
SPLIT_KEY = "eval_split"
ORDER_KEYS = {"seed": "seed", "batch_size": "batch_size", "num_gpus": "num_processes", "val_split": SPLIT_KEY}
"""Parameters that change the order of samples from the resumed step on, and their keys in a checkpoint."""

INPUTS_OPTION = "--policy.input_features"
FEATURE_OPTIONS = (INPUTS_OPTION, "--policy.output_features", "--policy.empty_cameras")
"""Options that change what a new policy reads or returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a training starts."""

    mode: StartMode = "scratch"
    """`policy` uses the complete policy, `weights` only its network, `checkpoint` also the optimizer and the step."""
    folder: Path = Path()
    """The policy's or the checkpoint's."""
    step: int = 0
    """The checkpoint's."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The policy's configuration."""

    @property
    def model_folder(self) -> Path:
        """The policy's folder, which a checkpoint has inside."""
        return self.folder / policy.MODEL_FOLDER if self.mode == "checkpoint" else self.folder


def load_start(data: Mapping[JobSource, Path]) -> Start:
    """Return the start that the document asks for. Raise OSError or ValueError for damaged files."""
    source = find_start_source(data)
    if source is None:
        return Start()
    if source.role == "resume":
        return load_checkpoint_start(data[source])
    model = policy.find_model_folder(data[source])
    return Start(mode=START_MODES[source.role], folder=model, settings=policy.load_policy_settings(model))


def load_checkpoint_start(folder: Path) -> Start:
    """Return the start from a checkpoint. Raise OSError or ValueError with a sentence."""
    if not (folder / policy.STEP_FILE).is_file():
        raise FileNotFoundError(f"{folder} is not a checkpoint to resume from: {policy.STEP_FILE} is missing")
    step = file_formats.read_json_object(folder / policy.STEP_FILE).get("step")
    if not isinstance(step, int):
        raise ValueError(f"{folder / policy.STEP_FILE} has no step")
    settings = policy.load_policy_settings(folder / policy.MODEL_FOLDER)
    return Start(mode="checkpoint", folder=folder, step=step, settings=settings)


def find_resume_problems(document: JobDocument, folder: Path, start: Start) -> Iterator[str]:
    """Yield one sentence for each problem that keeps the trainer from resuming."""
    if problem := checkpoint.validate_checkpoint(folder):
        earlier = ""
        if complete := checkpoint.find_last_complete(folder.parent):
            step, _ = complete
            rename = shlex.join(["mv", str(folder), f"{folder}.torn"])
            earlier = f"\n{rename}   then the same command resumes from step {step}"
        yield f"the training cannot resume from this checkpoint: {problem}{earlier}"
    if not (folder / TRAIN_CONFIG_FILE).is_file():
        yield f"the checkpoint {folder} is incomplete: {TRAIN_CONFIG_FILE} is missing"
    steps = document.parameters["training_steps"]
    assert isinstance(steps, int)
    if start.step >= steps:
        yield f"{folder} has reached step {start.step} already: increase the steps\n--training-steps {2 * start.step}"


def list_resume_notes(parameters: Mapping[str, Scalar], start: Start) -> Iterator[Note]:
    """Yield notes on options without effect, and on effects of changed options."""
    saved = file_formats.read_json_object(start.folder / TRAIN_CONFIG_FILE)
    manifest = checkpoint.read_manifest(start.folder)
    text = f"resuming from step {start.step}" + (f" of {manifest.run}" if manifest else "")
    yield Note(level="info", text=text)
    yield from (Note(level="warning", text=text) for text in _list_surprises(parameters, start, saved))


def _list_surprises(parameters: Mapping[str, Scalar], start: Start, saved: Mapping[str, Any]) -> Iterator[str]:
    rate, saved_rate = parameters["learning_rate"], (saved.get("optimizer") or {}).get("lr")
    if rate is not None and saved_rate not in (None, rate):
        yield f"--learning-rate {rate} has no effect: the optimizer resumes with its saved rate, {saved_rate}"
    scheduler, steps = saved.get("scheduler") or {}, parameters["training_steps"]
    warmup = parameters["lr_warmup_steps"]
    if warmup not in (None, scheduler.get("num_warmup_steps")):
        yield f"--lr-warmup-steps {warmup} has no effect: the schedule resumes as it was saved"
    if scheduler.get("type") == "diffuser" and saved.get("steps") != steps:
        saved_steps = saved.get("steps")
        yield f"the learning-rate schedule spans {steps} steps instead of {saved_steps}: the rate jumps on resume"
    state = {**saved, **_get_dataset(saved), **file_formats.read_json_object(start.folder / policy.STEP_FILE)}
    for name, key in ORDER_KEYS.items():
        if state.get(key) not in (None, parameters[name]):
            flag = "--" + name.replace("_", "-")
            yield f"the order of samples changes: {flag} is {parameters[name]} now, and was {state[key]} before"


def _get_dataset(saved: Mapping[str, Any]) -> Mapping[str, Any]:
    found = saved.get("dataset")
    return found if isinstance(found, dict) else {}


def read_resumed_choices(folder: Path) -> dict[str, Scalar]:
    """Return parameters that LeRobot takes from a checkpoint as it resumes: what is learned from, in which order.

    Raise OSError or ValueError.
    """
    saved = file_formats.read_json_object(folder / TRAIN_CONFIG_FILE)
    split = _get_dataset(saved).get(SPLIT_KEY)
    found = {"batch_size": saved.get("batch_size"), "seed": saved.get("seed"), "val_split": split}
    found |= {"eval_freq": saved.get("eval_steps")} if split else {}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def read_saved_parameters(sources: Sequence[JobSource]) -> dict[str, Scalar]:
    """Return parameters that the checkpoint decides, as far as it is on this machine."""
    folder = next((Path(source.uri) for source in sources if source.role == "resume"), None)
    try:
        saved = file_formats.read_json_object(folder / TRAIN_CONFIG_FILE) if folder else {}
    except (OSError, ValueError):  # it is downloaded later, or `find_resume_problems` explains it
        return {}
    rate = (saved.get("optimizer") or {}).get("lr")
    return {"learning_rate": rate} if rate is not None else {}


def find_start_problems(document: JobDocument, data: Mapping[JobSource, Path], root: Path | None) -> Iterator[str]:
    """Yield one sentence a problem. `root` is a valid dataset, if there is one."""
    try:
        start = load_start(data)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if start.mode == "scratch":
        return
    if start.mode == "checkpoint":
        yield from find_resume_problems(document, start.folder, start)
    expected_type = get_expected_type(document)
    trained = choose_model(document.parameters, start.settings)
    reads_processors = start.mode != "weights" and trained.section == versions.POLICIES
    has_packages = bool(packages.list_given(document.parameters))
    yield from policy.find_policy_problems(
        start.model_folder, start.settings, trained, expected_type, reads_processors, has_packages=has_packages
    )
    yield from _compare_options(document, start)
    if root is not None:
        yield from _compare_features(document, start, root)


def find_mismatches(document: JobDocument, described: Mapping[JobSource, Path], root: Path) -> Iterator[str]:
    """Yield one sentence for each reason why the policy, if its configuration can be read, does not fit the job."""
    start = Start()
    with suppress(OSError, ValueError):
        start = load_start(described)
    if start.mode != "scratch":
        source = find_start_source(described)
        name = (
            source.uri if source and not Path(source.uri).is_absolute() else start.model_folder
        )  # a step has no folder yet
        trained = choose_model(document.parameters, start.settings)
        has_packages, expected = bool(packages.list_given(document.parameters)), get_expected_type(document)
        yield from policy.find_start_type_problems(name, start.settings, trained, expected, has_packages=has_packages)
        if start.settings.get("type") not in trained.lerobot.types and not has_packages:
            return
        yield from _compare_options(document, start)
        yield from _compare_features(document, start, root)


def get_expected_type(document: JobDocument) -> Scalar:
    """Return the type that the job asks for; None if it takes that of its start."""
    return document.parameters.get("reward_model") or document.parameters["policy_type"]


def _compare_options(document: JobDocument, start: Start) -> Iterator[str]:
    is_resumed = start.mode == "checkpoint"
    model = choose_model(document.parameters, start.settings)
    return find_option_mismatches(start.settings, document.trainer_args, model, is_resumed=is_resumed)


def _compare_features(document: JobDocument, start: Start, root: Path) -> Iterator[str]:
    info, renames = dataset.load_dataset_info(root), _get_renames(document, start)
    read = list(policy_features.get_policy_inputs(start.settings)) or None
    problems = list(feature_renames.find_rename_problems(renames, list(dataset.get_features(info)), read))
    yield from problems
    if not problems:
        types = versions.get_version(document.parameters["lerobot_version"]).policies
        model = types.get(str(start.settings.get("type")), policy_features.UNKNOWN_TYPE)
        is_policy = choose_model(document.parameters, start.settings).section == versions.POLICIES
        settings = _choose_inputs(document, start.settings) if is_policy else _drop_shapes(start.settings)
        found = policy_features.find_feature_mismatches(settings, info, renames, model)
        yield from found if is_policy else (sentence.partition("\n")[0] for sentence in found)  # only policies rename


def _choose_inputs(document: JobDocument, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings with the features that the user adds or changes, if they are JSON: LeRobot merges them."""
    given = parse_value(get_option_value(document.trainer_args, INPUTS_OPTION) or "null")
    are_read = isinstance(given, dict) and all(isinstance(one, dict) for one in given.values())
    name = policy.FEATURE_KEYS[0]
    return {**settings, name: {**(settings.get(name) or {}), **given}} if given and are_read else settings


def _drop_shapes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a reward model without shapes of inputs: LeRobot does not take them from the data."""
    inputs = settings.get("input_features") or {}
    return {**settings, "input_features": {name: {**feature, "shape": []} for name, feature in inputs.items()}}


def _get_renames(document: JobDocument, start: Start) -> dict[str, str]:
    """Return the features that are renamed: those of the job, else those that a resumed training was started with."""
    if (given := feature_renames.parse_renames(document.parameters)) or start.mode != "checkpoint":
        return given
    with suppress(OSError, ValueError):
        saved = file_formats.read_json_object(start.folder / TRAIN_CONFIG_FILE).get("rename_map")
        return {str(name): str(renamed) for name, renamed in saved.items()} if isinstance(saved, dict) else {}
    return {}


def predict_policy_settings(
    document: JobDocument, described: Mapping[JobSource, Path], root: Path | None
) -> Mapping[str, Any] | None:
    """Return the configuration, as far as it is known, of the policy that the training will make; None if it is not.

    :param root: the dataset to train on, or its description.
    """
    with suppress(OSError, ValueError):
        start = load_start(described)
        settings = start.settings
        if start.mode == "scratch":
            if find_start_source(dict.fromkeys(document.sources, Path())):
                return None
            settings = {"type": choose_model(document.parameters, {}).kind, **_predict_features(document, root)}
        if any(argument.startswith(FEATURE_OPTIONS) for argument in document.trainer_args):
            return {name: value for name, value in settings.items() if name not in policy.FEATURE_KEYS}
        return settings
    return None


def _predict_features(document: JobDocument, root: Path | None) -> Mapping[str, Any]:
    """Return the inputs and outputs of a new policy; empty if the dataset is unknown."""
    convert = document.parameters["convert_v21"] is True
    if root is None or any(dataset.find_dataset_problems(root, convert=convert, description_only=True)):
        return {}
    return policy_features.make_new_settings(dataset.load_dataset_info(root))


def predict_processor_steps(document: JobDocument, described: Mapping[JobSource, Path]) -> list[Any]:
    """Return the steps, as far as they are known, of the first processor of the policy that the training will make.

    They are those of the policy that it starts from, which may name repositories, with the renames of the job.
    """
    with suppress(OSError, ValueError):
        start = load_start(described)
        if start.mode in ("policy", "checkpoint"):
            path = start.model_folder / policy.PROCESSOR_FILES[0]
            saved = file_formats.read_json_object(path).get("steps") if path.is_file() else ()
            steps = [step for step in saved if isinstance(step, dict)] if isinstance(saved, list) else []
            others = [step for step in steps if step.get("registry_name") != feature_renames.RENAME_STEP]
            config = {"rename_map": _get_renames(document, start)}
            return [{"registry_name": feature_renames.RENAME_STEP, "config": config}, *others]
    return []


def get_start_step(data: Mapping[JobSource, Path]) -> int:
    """Return the step that training starts at, as far as it is known."""
    with suppress(OSError, ValueError):
        return load_start(data).step
    return 0


def list_camera_warnings(document: JobDocument, described: Mapping[JobSource, Path], root: Path) -> Iterator[str]:
    """Yield a sentence on cameras that only the dataset or only the policy has, if the policy can be read."""
    begin = Start()
    with suppress(OSError, ValueError):
        begin = load_start(described)
    if begin.mode != "scratch":
        info, renames = dataset.load_dataset_info(root), _get_renames(document, begin)
        yield from policy_features.list_camera_warnings(begin.settings, info, renames)


def get_checkpoints_folder(document: JobDocument, work: Path) -> Path:
    """Return the folder of checkpoints, also for one that is recovered from an earlier attempt."""
    return resolve_output_folder(document, work) / CHECKPOINTS_FOLDER


def find_output_problems(document: JobDocument, output: Path) -> Iterator[str]:
    """Yield problems of the output folder: it may be new, or hold files of this run."""
    if output.exists() and not output.is_dir():
        yield f"the output folder {output} is a file\n--output-dir FOLDER"
    elif not _is_used(output):
        return
    elif other := next((manifest.run for manifest in _read_manifests(output) if manifest.run != document.run), ""):
        yield f"the output folder {output} has checkpoints of the run {other}\n--output-dir NEW_FOLDER"
    elif not is_own_output(Path(document.placement.work), output):
        submission = contract_document.read_submission_id(document)  # saved them, maybe on a machine that is gone
        saved = [manifest.submission for manifest in _read_manifests(output) if manifest.run == document.run]
        if not submission or submission not in saved:
            yield f"the output folder {output} is not empty\n--output-dir NEW_FOLDER"


def recover_previous_attempt(document: JobDocument, output: Path) -> tuple[Start | None, tuple[Note, ...]]:
    """Return the start that the last attempt saved, None for none, and notes on its files.

    Unusable files are set aside, so that the trainer can write there again. Raise OSError when that fails.
    """
    if not _is_used(output):
        return None, ()
    steps = int(str(document.parameters["training_steps"]))
    resume_point, notes = checkpoint.find_resume_point(
        output / CHECKPOINTS_FOLDER, run=document.run, job=document.job, steps=steps
    )
    if resume_point is None:
        folder = checkpoint.set_torn_aside(output)
        text = f"an earlier attempt left no usable checkpoint; its files were moved to {folder}"
        return None, (*notes, Note(level="warning", text=text))
    saved = load_checkpoint_start(resume_point[1])
    model = choose_model(document.parameters, saved.settings)
    if model.facts.refused_start and saved.step < steps:
        text = f"{policy.explain_refused_start(resume_point[1], model)}; the training begins anew"
        moved = checkpoint.set_torn_aside(output)
        return None, (*notes, Note(level="warning", text=f"{text}, and its files were moved to {moved}"))
    return saved, notes


def _is_used(output: Path) -> bool:
    return output.is_dir() and any(output.iterdir())


def _read_manifests(output: Path) -> Iterator[checkpoint.CheckpointManifest]:
    for _, folder in checkpoint.list_checkpoints(output / CHECKPOINTS_FOLDER):
        if manifest := checkpoint.read_manifest(folder):
            yield manifest


def find_option_mismatches(
    settings: Mapping[str, Any], options: Sequence[str], model: TrainedModel, *, is_resumed: bool = False
) -> Iterator[str]:
    """Yield one sentence for each option of the user with which the weights of a trained policy do not fit.

    :param settings: the policy's configuration.
    :param model: what the job trains with them.
    :param is_resumed: whether its training continues: the state of its optimizer fits no other part of a network.
    """
    known = model.lerobot.get_network_options(model.kind)
    names = [*known.shapes, *(known.parts if is_resumed else ())]
    for option, text, saved in _list_changed(settings, options, model, names):
        way = shlex.quote(f"{option}={saved}")
        yield f"{option}={text} does not fit the {model.noun}, whose weights need {saved}\n-- {way}"


def list_part_warnings(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield a sentence for each option with which a fine-tune leaves weights out, or has new ones."""
    with suppress(OSError, ValueError):
        begin = load_start(described)
        model = choose_model(document.parameters, begin.settings)
        parts = model.lerobot.get_network_options(model.kind).parts if begin.mode in ("policy", "weights") else ()
        for option, text, saved in _list_changed(begin.settings, document.trainer_args, model, parts):
            changed = f"{option}={text} is another network than that of the {model.noun}, which has {saved}"
            yield f"{changed}: weights that do not fit are left out, and new parts start with random ones"


def _list_changed(
    settings: Mapping[str, Any], options: Sequence[str], model: TrainedModel, names: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield each of these options that the user gives another value than the configuration has: it, both values."""
    for name in names:
        option = f"--{model.prefix}.{name}"
        text = get_option_value(options, option)
        if text is not None and name in settings and parse_value(text) != settings[name]:
            saved = settings[name] if isinstance(settings[name], str) else json.dumps(settings[name])
            yield option, text, saved
