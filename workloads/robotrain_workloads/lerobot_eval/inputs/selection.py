"""Which policy a job evaluates, and on which recorded episodes. Standard library only."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar

from robotrain_workloads.lerobot import file_formats, lineage, policy
from robotrain_workloads.lerobot.lineage import SOURCE_KIND_NAMES

POLICY_ROLE = "policy"
BUILTIN_SOURCE = "builtin"
DEFAULT_POLICY_TYPE = "act"
"""The type of an untrained policy, when nobody says which."""
STEP_PATTERN = re.compile(r"(?:/(?:checkpoints|policy)/([0-9]{1,12})|/(0[0-9]{5}))(?:/pretrained_model)?/?$")


def find_policy_source(sources: Iterable[JobSource]) -> JobSource | None:
    """Where it comes from; None for one that is made here."""
    return next((one for one in sources if one.role == POLICY_ROLE), None)


def find_policy_folder(data: Mapping[JobSource, Path]) -> Path | None:
    """The folder of its files, that of the model alone; None for one that is made here."""
    found = find_policy_source(data)
    return policy.find_model_folder(data[found]) if found else None


def get_policy_name(document: JobDocument) -> str:
    """What it is called: the printed form of its source, or its type."""
    found = find_policy_source(document.sources)
    return found.uri if found else get_builtin_type(document.parameters)


def get_policy_origin(document: JobDocument) -> str:
    """The kind of its source, in a word."""
    found = find_policy_source(document.sources)
    return SOURCE_KIND_NAMES.get(found.kind, found.kind) if found else BUILTIN_SOURCE


def get_policy_pin(document: JobDocument) -> str:
    """What its name meant when the job was sent; empty for nobody knows."""
    found = find_policy_source(document.sources)
    return found.pin if found else ""


def get_builtin_type(parameters: Mapping[str, Scalar]) -> str:
    """The type that an untrained one has."""
    return str(parameters["policy_type"] or DEFAULT_POLICY_TYPE)


def find_policy_step(document: JobDocument, data: Mapping[JobSource, Path]) -> int:
    """At which it was saved; 0 when nobody knows."""
    found, folder = find_policy_source(data), find_policy_folder(data)
    if found is None or folder is None:
        return 0
    if sealed := lineage.read_checkpoint_manifest(folder):
        return sealed.step
    with suppress(OSError, ValueError, TypeError):
        return int(file_formats.read_json_object(folder.parent / policy.STEP_FILE).get("step") or 0)
    if told := model_lineage.read_policy_lineage(Path(document.placement.cache), data[found]).get(
        model_lineage.POLICY_STEP, ""
    ):
        return int(told) if told.isdecimal() else 0
    said = STEP_PATTERN.search(found.uri)
    return int(said[1] or said[2]) if said else 0


HELD_OUT, ALL = "held-out", "all"
RANGE_PATTERN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
EXAMPLE_EPISODES = "0,3,5-9"


def parse_episodes(text: str) -> list[range] | None:
    """The numbers; None for a word. Raises ValueError with a sentence."""
    if text in (HELD_OUT, ALL):
        return None
    return [_parse_range(part.strip()) for part in text.split(",")]


def select_episodes(parts: Sequence[range], total: int) -> list[int]:
    """The numbers in order, each once. Raises ValueError with a sentence for those that are not there."""
    last = max((part[-1] for part in parts), default=-1)
    if last >= total:
        raise ValueError(f"the dataset has {total} episode{'s' * (total != 1)}, numbered from 0, and no episode {last}")
    return sorted({number for part in parts for number in part})


def _parse_range(text: str) -> range:
    found = RANGE_PATTERN.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no number of an episode, and no range of numbers" if text else "A part is empty")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise ValueError(f"The range {text} ends before it begins")
    return range(first, last + 1)
