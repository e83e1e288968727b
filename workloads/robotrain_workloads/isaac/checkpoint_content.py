"""What a checkpoint of rsl_rl, skrl or sb3 holds, by the names in its file: nothing in it is loaded or run.

What loads it later reads weights alone, and refuses what else is in it.
"""

import itertools
import json
import pickletools
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract.problem import Problem, make_data_problem

RSL_RL_SERIES = {"model_state_dict": "2.3", "actor_state_dict": "3.0"}
"""The name of rsl_rl's weights, and the Isaac Lab whose rsl_rl reads it: one does not read the other's."""
SKRL_NAMES = {"policy"}
SB3_POLICY, SB3_SETTINGS, SB3_TIMESTEPS = "policy.pth", "data", "num_timesteps"
"""Files in the archive of sb3, and the setting that tells how long it has trained."""
ITERATION = "iter"
STRINGS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")
NUMBERS = ("BININT", "BININT1", "BININT2", "INT")
MEMO = ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE")
Operation = tuple[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointContent:
    """The content of a checkpoint's file."""

    backend: str = ""
    """The library that wrote it: rsl_rl, skrl or sb3."""
    series: str = ""
    """The Isaac Lab whose library reads it; empty for any."""
    iteration: int | None = None
    """The iteration that it was saved in, from 0, if the file tells."""
    timesteps: int | None = None
    """Of all environments together, if the file tells."""
    problem: str = ""
    """Why it is no checkpoint of these libraries."""


def read_content(file: Path) -> CheckpointContent:
    """Return what a file holds. Raise OSError with a sentence if it is no file of PyTorch."""
    if (sb3_content := _read_sb3(file)) is not None:
        return sb3_content
    operations = [operation for operation in _list_operations(file) if operation[0] not in MEMO]
    stored_names = {str(argument) for name, argument in operations if name in STRINGS}
    for weights, series in RSL_RL_SERIES.items():
        if weights in stored_names:
            return CheckpointContent(backend="rsl_rl", series=series, iteration=_find_iteration(operations))
    if stored_names >= SKRL_NAMES:
        return CheckpointContent(backend="skrl")
    return CheckpointContent(problem="it is not a checkpoint of rsl_rl, skrl or sb3")


def make_series_finding(file: Path | None, content: CheckpointContent, series: str) -> Problem:
    """Return that a checkpoint is of another Isaac Lab than the job."""
    return make_data_problem(
        f"{file} is of Isaac Lab {content.series}: the {content.backend} of {series} cannot read it",
        f"--isaac-version {content.series}",
    )


def _read_sb3(file: Path) -> CheckpointContent | None:
    """Return what an archive of sb3 holds; None for another file. Its policy is read as weights alone."""
    try:
        with zipfile.ZipFile(file) as archive:
            if not {SB3_POLICY, SB3_SETTINGS} <= {*archive.namelist()}:
                return None
            timesteps = json.loads(archive.read(SB3_SETTINGS))[SB3_TIMESTEPS]
    except zipfile.BadZipFile:
        return None
    except (ValueError, LookupError, TypeError):
        timesteps = None
    if not isinstance(timesteps, int):
        return CheckpointContent(problem="it does not tell how long it has trained")
    return CheckpointContent(backend="sb3", series="3.0", timesteps=timesteps)


def _find_iteration(operations: Sequence[Operation]) -> int | None:
    """Return the number behind the name of the iteration."""
    for (name, argument), (kind, iteration) in itertools.pairwise(operations):
        if name in STRINGS and argument == ITERATION and kind in NUMBERS and isinstance(iteration, int):
            return iteration
    return None


def _list_operations(file: Path) -> Iterator[Operation]:
    """Yield the operations of a file of PyTorch, by name with their argument. Raise OSError with a sentence."""
    try:
        with zipfile.ZipFile(file) as archive:
            pickle_name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), "")
            pickle_bytes = archive.read(pickle_name) if pickle_name else b""
    except zipfile.BadZipFile:
        pickle_bytes = file.read_bytes()
        if not pickle_bytes.startswith(b"\x80"):  # the first byte of a pickle
            pickle_bytes = b""
    if not pickle_bytes:
        raise OSError(f"{file} is not a file of PyTorch")
    try:
        yield from ((operation.name, argument) for operation, argument, _ in pickletools.genops(pickle_bytes))
    except (ValueError, IndexError):
        if pickle_bytes[:1] != b"\x80" or zipfile.is_zipfile(file):
            raise OSError(f"{file} is not a file of PyTorch: it is damaged") from None
