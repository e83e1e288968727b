"""What is wrong with a policy that a training starts from, from its small files alone. Standard library only."""

import json
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_train import json_object, policy_settings
from robotrain_workloads.lerobot_train.parameters import Policy
from robotrain_workloads.lerobot_train.versions import LEROBOT

MODEL = "pretrained_model"
STEP = Path("training_state", "training_step.json")
CONFIG, WEIGHTS, ADAPTER = "config.json", "model.safetensors", "adapter_config.json"
PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")
TYPES = typing.get_args(Policy)
OLD = ("normalize", "unnormalize", "input_normalizer", "output_normalizer")
MIGRATE = "python -m lerobot.processor.migrate_policy_normalization --pretrained-path {folder}"
LONGEST_HEADER = 100_000_000
UNTYPED = f"does not say what type of policy it is, in {CONFIG}"


def model(folder: Path) -> Path:
    """The folder of the model alone: that of a checkpoint lies inside it."""
    return folder / MODEL if (folder / MODEL / CONFIG).is_file() else folder


def settings(folder: Path) -> dict[str, Any]:
    """The policy's own settings. Raises OSError or ValueError with a sentence."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    if (folder / ADAPTER).is_file():
        raise ValueError(f"{folder} holds a PEFT adapter, not a policy: merge it into its base policy first")
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"{folder} holds no policy: it has no {CONFIG}{_below(folder)}")
    found = json_object.read(folder / CONFIG)
    if said := next(policy_settings.wrong(found), ""):
        raise ValueError(f"{folder / CONFIG}: {said}")
    return found


def wrong(folder: Path, found: Mapping[str, Any], asked: object, *, whole: bool) -> Iterator[str]:
    """One sentence for each thing wrong. found: the policy's settings. whole: whether its processors are needed too."""
    kind = found.get("type")
    if kind not in TYPES:
        what = f"is a policy of type {kind}" if kind else UNTYPED
        yield f"{folder} {what}: what can be trained is {' and '.join(TYPES)}"
    else:
        yield from of_another_type(folder, kind, asked)
    yield from torn(folder, whole=whole)


def of_another_type(name: object, kind: object, asked: object) -> Iterator[str]:
    """A sentence when it is not of the type that is asked for. name: what the person calls it."""
    if kind != asked:
        yield f"{name} is a policy of type {kind}, and --policy-type is {asked}\n--policy-type {kind}"


def torn(folder: Path, *, whole: bool) -> Iterator[str]:
    """One sentence for each file that is not whole, or not there. whole: as in `wrong`."""
    tensors: Mapping[str, Any] = {}
    try:
        tensors = _tensors(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        yield str(error)
    if whole:
        yield from _processors(folder, old=any(name.startswith(OLD) for name in tensors))


def _tensors(path: Path) -> Mapping[str, Any]:
    """What a safetensors file says it holds. Raises OSError or ValueError when it holds less."""
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} holds no weights: it has no {path.name}")
    short = ValueError(f"{path} is not a whole safetensors file: it may have been cut short on its way here")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            tensors = json.loads(file.read(min(length, LONGEST_HEADER)))
            tensors.pop("__metadata__", None)
            ends = [int(tensor["data_offsets"][1]) for tensor in tensors.values()]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise short from None
    if path.stat().st_size != 8 + length + max(ends, default=0):
        raise short
    return typing.cast(Mapping[str, Any], tensors)


def _processors(folder: Path, old: bool) -> Iterator[str]:
    if missing := [name for name in PROCESSORS if not (folder / name).is_file()]:
        if old:
            yield (
                f"{folder} was saved by an older LeRobot, which kept normalisation in the network;"
                f" {LEROBOT} keeps it beside: convert it\n{MIGRATE.format(folder=folder)}"
            )
        else:
            yield f"{folder} is incomplete: it has no {', no '.join(missing)}, which LeRobot {LEROBOT} normalises with"
        return
    for name in PROCESSORS:
        try:
            states = _states(folder / name)
        except (OSError, ValueError) as error:
            yield str(error)
            continue
        yield from (
            f"{folder} is incomplete: it has no {state}, of which {name} speaks"
            for state in states
            if not (folder / state).is_file()
        )


def _states(path: Path) -> list[str]:
    """The files that a processor keeps numbers in. Raises OSError or ValueError with a sentence."""
    steps = json_object.read(path).get("steps") or []
    try:
        states = [step["state_file"] for step in steps if step.get("state_file")]
    except (AttributeError, TypeError):
        raise ValueError(f"{path}: steps must be a list of objects") from None
    if not all(isinstance(state, str) for state in states):
        raise ValueError(f"{path}: each state_file must be the name of a file")
    return states


def _below(folder: Path) -> str:
    """Where the person may have meant: a folder above it is a common slip. `last` sorts behind the numbers."""
    places = ("*", f"*/{MODEL}", f"checkpoints/*/{MODEL}", f"*/checkpoints/*/{MODEL}")
    near = next((found for place in places if (found := sorted(folder.glob(f"{place}/{CONFIG}")))), [])
    return f" (but {near[-1].parent} has)" if near else ""
