"""A checkpoint of rsl_rl, skrl or sb3: its file, the file's SHA-256, and facts that are not in the file.

That is its task, its framework, and the success rate that its model asks for: isaac-train writes it beside the
parameters; for a registered model the lineage file and the version's tags have it.
"""

import itertools
import json
import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_workloads.isaac.image import sb3_files

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
NUMBERED = {"rsl_rl": r"model_(\d+)\.pt", "skrl": r"agent_(\d+)\.pt", "sb3": r"model_(\d+)_steps\.zip"}
"""Names of checkpoints: with iterations in those of rsl_rl, timesteps in the others."""
SUFFIXES = (".pt", ".zip")
BEST = "best_agent.pt"
FACTS_FILE = "params/robotrain.json"
RUN_FILE = "run.json"
"""What Isaac Lab 3.0 writes beside a training: task, library, and in `metadata` the agent's entry point."""
TASK, FRAMEWORK, THRESHOLD = "task", "framework", "success_threshold"
AGENT = "agent_entry_point"
TOTAL, ROLLOUTS = "total", "rollouts"
SEVERAL_AGENTS = re.compile(r"^\s+class: (IPPO|MAPPO)\s*$", re.MULTILINE)
"""The class of such an agent of skrl, in `params/agent.yaml`."""
MODEL_TAGS = (TASK, FRAMEWORK, THRESHOLD)
LATEST = "/latest"
FRAMEWORKS = {"skrl": "skrl", "rsl_rl": "rsl_rl", "rsl-rl": "rsl_rl", "rslrl": "rsl_rl", "sb3": "sb3"}


def find_checkpoint_file(path: Path, backend: str = "") -> Path:
    """Return the file that a source holds: the one of the highest number, of any backend or of one. Raise OSError."""
    if path.is_file():
        return path
    for folder in (path, path / "checkpoints"):
        files = [file for file in sorted(folder.glob("*")) if file.suffix in SUFFIXES and file.is_file()]
        numbered_files = [(number, file) for file in files if (number := parse_number(file, backend)) is not None]
        if numbered_files:
            return max(numbered_files)[1]
        if best_file := next((file for file in files if file.name == BEST), None):
            return best_file
        if len(files) == 1:
            return files[0]
        if (
            not files
            and folder == path
            and len(other_files := [other_file for other_file in path.iterdir() if other_file.is_file()]) == 1
        ):
            return other_files[0]
        if files:
            file_names = ", ".join(file.name for file in files[:4])
            raise FileNotFoundError(
                f"{folder} has several files that may be the checkpoint: {file_names}; name one of them"
            )
    raise FileNotFoundError(f"{path} has no checkpoint of Isaac Lab: a file such as model_100.pt or agent_2400.pt")


def find_digest_problem(file: Path, expected: object) -> str:
    """Return why a checkpoint's file is not the one that was meant; empty if it is, or if none was named."""
    if not expected or (actual := checkpoint.hash_file(file)) == str(expected).lower():
        return ""
    return f"{file} has the SHA-256 {actual}, not {str(expected).lower()}"


def parse_number(file: Path, backend: str = "") -> int | None:
    """Return the number in the name of a checkpoint; None if it has none."""
    match = re.fullmatch(NUMBERED[backend] if backend else "|".join(NUMBERED.values()), file.name)
    return int(match[match.lastindex or 0]) if match else None


def find_several_agents(params: Path | None) -> str:
    """Return the algorithm of a checkpoint whose policy is one of several agents, as its parameters tell, or empty."""
    try:
        match = SEVERAL_AGENTS.search(params.read_text(encoding="utf-8")) if params else None
    except (OSError, ValueError):
        return ""
    return match[1] if match else ""


def get_statistics_name(file: Path) -> str:
    """Return the name of the file beside a checkpoint of sb3 that scales its observations; empty for others."""
    return sb3_files.get_statistics_file(file.name) if file.suffix == ".zip" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFacts:
    """The facts about a checkpoint; empty or None if unknown."""

    task: str = ""
    framework: str = ""
    agent: str = ""
    """The entry point of the agent's configuration."""
    success_threshold: float | None = None


def find_checkpoint_source(sources: Iterable[JobSource]) -> JobSource | None:
    """Return the source of the role `checkpoint`."""
    return next((source for source in sources if source.role == "checkpoint"), None)


def get_address(source: JobSource) -> str:
    """Return the address of a checkpoint: for the latest version of a model, that of the version that it was."""
    is_latest = source.pin and source.uri.endswith(LATEST)
    return f"{source.uri.removesuffix(LATEST)}/{source.pin}" if is_latest else source.uri


def write_facts(folder: Path, task: str, framework: str, total: int | None = None, rollouts: int = 1) -> None:
    """Write the facts into the folder of a checkpoint.

    :param total: the length of the training, in the unit of the checkpoint's name.
    :param rollouts: how much of it is one iteration.
    """
    (folder / "params").mkdir(parents=True, exist_ok=True)
    facts_json = json.dumps({TASK: task, FRAMEWORK: framework, TOTAL: total, ROLLOUTS: rollouts}) + "\n"
    (folder / FACTS_FILE).write_text(facts_json, encoding="utf-8")


def read_facts(file: Path, source: Path, cache: Path) -> CheckpointFacts:
    """Return the facts about a checkpoint's file, which came with a source; a version's tags count first."""
    candidates: list[Mapping[str, Any]] = [model_lineage.read_model_tags(cache, source)]
    for folder in file.parents[:3]:
        for name in (model_lineage.LINEAGE_FILE, FACTS_FILE, RUN_FILE):
            with suppress(OSError, ValueError):
                file_facts = json.loads((folder / name).read_text(encoding="utf-8"))
                if isinstance(file_facts, dict):
                    candidates.append(_translate_run(file_facts) if name == RUN_FILE else file_facts)

    def find_fact(name: str) -> str:
        return next((str(facts[name]) for facts in candidates if facts.get(name)), "")

    threshold = None
    with suppress(ValueError):
        threshold = float(find_fact(THRESHOLD))
    return CheckpointFacts(
        task=find_fact(TASK),
        framework=FRAMEWORKS.get(find_fact(FRAMEWORK).lower(), find_fact(FRAMEWORK)),
        agent=find_fact(AGENT),
        success_threshold=threshold if threshold is not None and 0 <= threshold <= 1 else None,
    )


def _translate_run(run_facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Isaac Lab wrote of a training, by the names of ours."""
    metadata = run_facts.get("metadata")
    agent = metadata.get("agent") if isinstance(metadata, dict) else ""
    return {TASK: run_facts.get("task"), FRAMEWORK: run_facts.get("library"), AGENT: agent}


def read_length(file: Path) -> tuple[int, int] | None:
    """Return the total of a checkpoint's training, and how much of it is one iteration; None if unknown."""
    for folder in file.parents[:2]:
        with suppress(OSError, ValueError, TypeError, KeyError):
            facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
            total = int(facts[TOTAL])
            rollouts = int(facts[ROLLOUTS])
            if total > 0 < rollouts:
                return total, rollouts
    return None


def find_params(file: Path) -> Path | None:
    """Return the agent's parameters that travel with a checkpoint; None if there are none."""
    params_files = (folder / "params" / "agent.yaml" for folder in file.parents[:2])
    return next((path for path in params_files if path.is_file()), None)


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
