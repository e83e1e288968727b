"""Where a training starts: from scratch, a policy, a checkpoint, or what an earlier attempt of the run saved."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.event import Note

from robotrain_workloads.lerobot import dataset, file_formats, policy, policy_features
from robotrain_workloads.lerobot.lineage import START_MODES, StartMode, find_start_source
from robotrain_workloads.lerobot.run_setup import is_own_output


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """way: `policy` takes the policy as a whole and `weights` only its network; `checkpoint` the optimizer and the step
    as well. folder: the policy's, or the checkpoint's. step: that of the checkpoint. settings: the policy's own.
    """

    mode: StartMode = "scratch"
    folder: Path = Path()
    step: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


def load_start(data: Mapping[JobSource, Path]) -> Start:
    """What the document asks for. Raises OSError or ValueError when its files do not say what they should."""
    found = find_start_source(data)
    if found is None:
        return Start()
    return (
        load_checkpoint_start(data[found])
        if found.role == "resume"
        else _load_policy_start(START_MODES[found.role], data[found])
    )


def load_checkpoint_start(folder: Path) -> Start:
    """A checkpoint with everything its next step needs. Raises OSError or ValueError with a sentence."""
    if not (folder / policy.STEP_FILE).is_file():
        raise FileNotFoundError(
            f"{folder} is no checkpoint that a training can go on from: it has no {policy.STEP_FILE}"
        )
    step = file_formats.read_json_object(folder / policy.STEP_FILE).get("step")
    if not isinstance(step, int):
        raise ValueError(f"{folder / policy.STEP_FILE} does not say at which step it was saved")
    return Start(
        mode="checkpoint", folder=folder, step=step, settings=policy.load_policy_settings(folder / policy.MODEL_FOLDER)
    )


def _load_policy_start(mode: StartMode, folder: Path) -> Start:
    model = policy.find_model_folder(folder)
    return Start(mode=mode, folder=model, settings=policy.load_policy_settings(model))


TRAIN_CONFIG_FILE = Path(policy.MODEL_FOLDER, "train_config.json")


def find_resume_problems(document: JobDocument, folder: Path, start: Start) -> Iterator[str]:
    """One sentence for each thing that stops the trainer from going on there."""
    if said := checkpoint.validate_checkpoint(folder):
        yield f"no training can go on from this checkpoint: {said}{_suggest_earlier_checkpoint(folder)}"
    if not (folder / TRAIN_CONFIG_FILE).is_file():
        yield f"the checkpoint {folder} is incomplete: it has no {TRAIN_CONFIG_FILE}"
    steps = document.parameters["training_steps"]
    assert isinstance(steps, int)
    if start.step >= steps:
        yield f"{folder} reached step {start.step} already: ask for more steps\n--training-steps {2 * start.step}"


def _suggest_earlier_checkpoint(torn: Path) -> str:
    """How to have the newest whole checkpoint beside a torn one taken in its place, on a line of its own."""
    if (found := checkpoint.find_last_complete(torn.parent)) is None:
        return ""
    step, _ = found
    return f"\n{shlex.join(['mv', str(torn), f'{torn}.torn'])}   then the same command goes on from step {step}"


def list_resume_notes(parameters: Mapping[str, Scalar], start: Start) -> Iterator[Note]:
    """What a person might think would change, and does not; and what does. given: the document's parameters."""
    saved = file_formats.read_json_object(start.folder / TRAIN_CONFIG_FILE)
    made = checkpoint.read_manifest(start.folder)
    where = f"going on from step {start.step}" + (f" of {made.run}" if made else "")
    yield Note(level="info", text=where)
    yield from (Note(level="warning", text=text) for text in _list_surprises(parameters, start, saved))


def _list_surprises(parameters: Mapping[str, Scalar], start: Start, saved: Mapping[str, Any]) -> Iterator[str]:
    yield from _list_ignored_options(parameters, saved)
    scheduler, steps = saved.get("scheduler") or {}, parameters["training_steps"]
    if scheduler.get("type") == "diffuser" and saved.get("steps") != steps:
        was = saved.get("steps")
        yield f"the learning rate's schedule now spans {steps} steps, not {was}: the rate leaps where training goes on"
    yield from _list_order_changes(
        parameters, {**saved, **file_formats.read_json_object(start.folder / policy.STEP_FILE)}
    )


def read_saved_parameters(sources: Sequence[JobSource]) -> dict[str, Scalar]:
    """Parameters whose values are those of the checkpoint, whatever the document says; as far as it lies here."""
    folder = next((Path(source.uri) for source in sources if source.role == "resume"), None)
    try:
        saved = file_formats.read_json_object(folder / TRAIN_CONFIG_FILE) if folder else {}
    except (OSError, ValueError):  # it is fetched later, or `wrong` says more
        return {}
    rate = (saved.get("optimizer") or {}).get("lr")
    return {"learning_rate": rate} if rate is not None else {}


def _list_ignored_options(parameters: Mapping[str, Scalar], saved: Mapping[str, Any]) -> Iterator[str]:
    rate, saved_rate = parameters["learning_rate"], (saved.get("optimizer") or {}).get("lr")
    if saved_rate not in (None, rate):
        yield f"--learning-rate {rate} has no effect: the optimizer goes on as it was saved, at {saved_rate}"
    warmup, saved_warmup = parameters["lr_warmup_steps"], (saved.get("scheduler") or {}).get("num_warmup_steps")
    if warmup not in (None, saved_warmup):
        yield f"--lr-warmup-steps {warmup} has no effect: the schedule goes on as it was saved"


def _list_order_changes(parameters: Mapping[str, Scalar], saved: Mapping[str, Any]) -> Iterator[str]:
    """The samples come in the order they would have come in, unless what decides it was changed."""
    for name, there in {"seed": "seed", "batch_size": "batch_size", "num_gpus": "num_processes"}.items():
        if saved.get(there) not in (None, parameters[name]):
            flag = "--" + name.replace("_", "-")
            yield f"the order of the data changes from here on: {flag} is {parameters[name]}, and was {saved[there]}"


def find_start_problems(document: JobDocument, data: Mapping[JobSource, Path], root: Path | None) -> Iterator[str]:
    """One sentence for each thing wrong. root: a dataset that nothing is wrong with, if there is one yet."""
    try:
        begin = load_start(data)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if begin.mode == "scratch":
        return
    model = begin.folder
    if begin.mode == "checkpoint":
        yield from find_resume_problems(document, begin.folder, begin)
        model = begin.folder / policy.MODEL_FOLDER
    asked = document.parameters["policy_type"]
    yield from policy.find_policy_problems(model, begin.settings, asked, with_processors=begin.mode != "weights")
    if root is not None:
        yield from policy_features.find_feature_mismatches(
            begin.settings, dataset.load_dataset_info(root), document.trainer_args
        )


def get_start_step(data: Mapping[JobSource, Path]) -> int:
    """The step that training starts at, as far as that can be told."""
    with suppress(OSError, ValueError):
        return load_start(data).step
    return 0


def list_start_notes(document: JobDocument, begin: Start, root: Path) -> Iterator[Note]:
    """What is worth saying about a start that nothing is wrong with."""
    if begin.mode == "scratch":
        return
    if begin.mode == "checkpoint":
        yield from list_resume_notes(document.parameters, begin)
    if unseen := policy_features.list_unused_cameras(
        begin.settings, dataset.load_dataset_info(root), document.trainer_args
    ):
        yield Note(level="warning", text=f"the policy was trained without {', '.join(unseen)}, and makes no use of it")


CHECKPOINTS_FOLDER = "checkpoints"


def find_output_problems(document: JobDocument, output: Path) -> Iterator[str]:
    """What is wrong with the output folder: it may be new, or hold what this very run left there."""
    if output.exists() and not output.is_dir():
        yield f"the output folder {output} is a file\n--output-dir FOLDER"
    elif not _is_used(output):
        return
    elif other := _find_other_run(document, output):
        yield f"the output folder {output} holds checkpoints of the run {other}: name a new one with --output-dir"
    elif not is_own_output(Path(document.placement.work), output) and not _is_this_submission(document, output):
        yield f"the output folder {output} is not empty: name a new one with --output-dir"


def recover_previous_attempt(document: JobDocument, output: Path) -> tuple[Start | None, tuple[Note, ...]]:
    """Where the last attempt can be taken up, None for nowhere, and notes on what it left.

    What cannot be used is put aside, so that the trainer can write there again. Raises OSError when that fails.
    """
    if not _is_used(output):
        return None, ()
    good, said = checkpoint.find_resume_point(output / CHECKPOINTS_FOLDER, run=document.run, job=document.job)
    if good is None:
        text = f"an earlier attempt left nothing to go on from: kept as {checkpoint.set_torn_aside(output)}"
        return None, (*said, Note(level="warning", text=text))
    step, folder = good
    more = step < int(str(document.parameters["training_steps"]))
    way = "was cut short: going on from its" if more else "came to the end: nothing is left to train after"
    return load_checkpoint_start(folder), (*said, Note(level="info", text=f"an earlier attempt {way} step {step}"))


def _is_used(output: Path) -> bool:
    return output.is_dir() and any(output.iterdir())


def _find_other_run(document: JobDocument, output: Path) -> str:
    found = (checkpoint.read_manifest(folder) for _, folder in checkpoint.list_checkpoints(output / CHECKPOINTS_FOLDER))
    return next((one.run for one in found if one is not None and one.run != document.run), "")


def _is_this_submission(document: JobDocument, output: Path) -> bool:
    """Whether this very submission of the run saved something there, on a machine whose work folder is gone."""
    own, parent = contract_document.read_submission_id(document), output / CHECKPOINTS_FOLDER
    found = (checkpoint.read_manifest(folder) for _, folder in checkpoint.list_checkpoints(parent)) if own else ()
    return any(one is not None and (one.run, one.submission) == (document.run, own) for one in found)
