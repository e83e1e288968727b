"""Ask questions about a dataset: in a Python with pandas and pyarrow, as a process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robotrain.errors import Rejected
from robotrain.external_command import CommandStartError, open_dialogue
from robotrain.model.data_report import RemoteFiles
from robotrain.redaction import redact
from robotrain.store import files
from robotrain.submission.checker import CheckOptions, build_environment, find_built_environment, find_checker
from robotrain.submission.packing import pack_payload
from robotrain.submission.trainer_check import KEPT_VARIABLES, OFFLINE
from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.container_plugin import PythonEnvironment

from robotrain_workloads.dataset_check.findings import Finding, load_finding
from robotrain_workloads.lerobot import run_setup

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).parent / "locks/tables.txt", python="3.11-3.14", gib=0.4)
"""pandas, pyarrow, numpy, PyAV and Pillow."""
CHILD = "robotrain_workloads.data_command.inspection"
FORMAT = 1
"""Changes with what a cached answer means."""
TABLES, MOST_BYTES, MOST_SECONDS = ("meta/", "data/"), 1_000_000_000, 3600.0
"""What is downloaded of a dataset that is elsewhere, and how much."""
FOLDER, MOST_KEPT, LARGEST_KEPT = "inspected", 200, 1 << 20
"""The folder of answers in the cache, and how many and how large ones it keeps."""


class InspectionFailed(Exception):
    """Questions about a dataset got no answer; the message is a sentence without a full stop."""


class InspectedDataset(NamedTuple):
    """A dataset, and what is said about it."""

    findings: tuple[Finding, ...]
    results: Mapping[str, Mapping[str, Any]]
    """By question, what its answer holds beside findings."""


def inspect_dataset(
    dataset: Path | RemoteFiles,
    questions: Mapping[str, Mapping[str, Any]],
    find_python: Callable[[], Path],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seconds: float | None = None,
    most_bytes: int = MOST_BYTES,
) -> InspectedDataset:
    """Return the answers to questions about a dataset, each with its options; an error ends them.

    They are kept in the cache until the dataset changes. Raise InspectionFailed, and what reading files elsewhere
    raises.

    :param find_python: return a Python with pandas, pyarrow, PyAV and Pillow; called only if the answers are unknown.
    :param seconds: how long it may take.
    :param most_bytes: how large the tables of a dataset elsewhere may be.
    """
    archive = pack_payload({"data": CHILD})
    identity = _list_files(dataset) if isinstance(dataset, Path) else [dataset.identity]
    key = hashlib.sha256(json.dumps([FORMAT, archive.digest, identity, questions]).encode()).hexdigest()
    if (stored_json := files.load_computed(key, FOLDER)) is not None:
        stored = json.loads(stored_json)
        return InspectedDataset(tuple(map(load_finding, stored["findings"])), stored["results"])
    inspected = _ask_process(dataset, questions, find_python(), archive.archive, progress, seconds, most_bytes)
    inspected_json = json.dumps(
        {"findings": [finding.dump() for finding in inspected.findings], "results": inspected.results}
    ).encode()
    if len(inspected_json) <= LARGEST_KEPT:
        files.load_or_compute(key, lambda: inspected_json, FOLDER, MOST_KEPT)
    return inspected


def _list_files(folder: Path) -> list[list[str]]:
    """Return each file below a folder with its size and time: what changes with its content."""
    rows = [[str(folder.absolute())]]
    for parent, _, file_names in os.walk(folder):
        for file_name in file_names:
            path = os.path.join(parent, file_name)
            with contextlib.suppress(OSError):
                state = os.stat(path)
                rows.append([os.path.relpath(path, folder), str(state.st_size), str(state.st_mtime_ns)])
    return sorted(rows)


def _ask_process(
    dataset: Path | RemoteFiles,
    questions: Mapping[str, Mapping[str, Any]],
    python: Path,
    code: bytes,
    progress: Callable[[int, int], None],
    seconds: float | None,
    most_bytes: int,
) -> InspectedDataset:
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder, tempfile.TemporaryFile() as errors:
        with zipfile.ZipFile(io.BytesIO(code)) as code_archive:
            code_archive.extractall(folder)
        if isinstance(dataset, Path):
            described: dict[str, Any] = {"folder": str(dataset.absolute())}
        else:
            described = {"folder": f"{folder}/dataset", "name": dataset.name, "has_videos": False}
            _download_tables(dataset, Path(folder, "dataset"), most_bytes, seconds or MOST_SECONDS)
        inherited = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        options = {
            "env": child_python.make_import_environ([folder], inherited) | OFFLINE,
            "cwd": child_python.NEUTRAL_FOLDER,
            "stderr": errors,
        }
        findings, results, failure = list[Finding](), dict[str, dict[str, Any]](), ""
        try:
            with open_dialogue(str(python), "-m", CHILD, seconds=seconds, **options) as (process, is_late):
                assert process.stdin
                assert process.stdout
                with contextlib.suppress(BrokenPipeError):  # it ended
                    process.stdin.write(json.dumps({"dataset": described, "questions": questions}).encode() + b"\n")
                    process.stdin.flush()
                for event in map(json.loads, process.stdout):
                    match event["event"]:
                        case "progress":
                            progress(*event["parts"])
                        case "finding":
                            findings.append(load_finding(event["finding"]))
                        case "result":
                            results.setdefault(event["question"], {}).update(event["result"])
                        case "failed":
                            failure = event["why"]
                        case "end":
                            return InspectedDataset(tuple(findings), results)
        except CommandStartError as error:
            raise InspectionFailed(f"{python} does not start: {error}") from error
        if is_late.is_set():
            raise InspectionFailed(f"reading them took longer than {seconds:g} s")
        errors.seek(0)
        last_line = next((line for line in reversed(errors.read().decode("utf-8", "replace").splitlines()) if line), "")
        reason = failure or last_line or f"exit code {process.returncode}"
        raise InspectionFailed(redact(f"{python} ended without an answer: {reason}".rstrip("."), max_length=400))


def _download_tables(dataset: RemoteFiles, folder: Path, most_bytes: int, seconds: float) -> None:
    """Download the description and the tables of a dataset that is elsewhere. Raise SourceError, InspectionFailed."""
    sizes = {path: size for path, size in dataset.list_sizes().items() if path.startswith(TABLES)}
    if (total := sum(sizes.values())) > most_bytes:
        raise InspectionFailed(f"its tables have {total / 1e9:.1f} GB, and at most {most_bytes / 1e9:.1f} GB are read")
    if strange := [path for path in sizes if not (folder / path).resolve().is_relative_to(folder.resolve())]:
        raise InspectionFailed(f"{strange[0]} is outside of the dataset")
    dataset.download([*sizes], folder, seconds)


def find_data_python(checker: str = "") -> Path | None:
    """Return the Python; None if none is on this machine.

    :param checker: the value of `--checker`, if it is not `none`.
    """
    environment = find_checker(run_setup.make_environment("train"), CheckOptions(checker=checker)).checker
    environment = environment or find_built_environment(ENVIRONMENT)
    return environment.python if environment else None


def build_data_python(say: Callable[[str], None]) -> Path:
    """Build the small Python, once. Raise InspectionFailed with the reason.

    :param say: shows a message: it takes seconds.
    """
    size = f"{ENVIRONMENT.gib} GB in {files.get_cache_folder()}"
    progress_text = f"preparing a Python that reads datasets: once, {size}, which usually takes less than a minute"
    try:
        built_environment, problems = build_environment(
            ENVIRONMENT, lambda line: say(line) if line == progress_text else None, progress_text
        )
    except Rejected as rejected:
        raise InspectionFailed(rejected.problems[0].why.rstrip(".")) from rejected
    if built_environment is None:
        raise InspectionFailed(problems[0].title)
    return built_environment.python
