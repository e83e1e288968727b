"""The output of a pipeline's step for later steps: `step.json`, with the policy and the results beside it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document_limits import MAX_STEP_BYTES
from robotrain_runtime.contract.files import read_limited_file, write_atomically
from robotrain_runtime.contract.json_values import convert_json, parse_json

STEP_KIND = "step"
"""The kind of a source that an earlier step of the same pipeline makes."""
STEP_FILE, POLICY_FOLDER, RESULTS_FOLDER, CHECKPOINTS_FOLDER = "step.json", "policy", "results", "checkpoints"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class StepOutput:
    """The content of `step.json`."""

    run: str
    job: str
    """The digest of the step's job."""
    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The manifest of its newest checkpoint; empty for none."""
    checkpoints: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """The manifests of the checkpoints that are handed over beside the newest one, by the names of their folders."""
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The SHA-256 of every file beside it, by path."""


def write_step_output(folder: Path, output: StepOutput) -> None:
    """Write `step.json`, last of all. Raise OSError."""
    body = {"schema": SCHEMA, **dataclasses.asdict(output)}
    if not output.checkpoints:
        del body["checkpoints"]
    write_atomically(folder / STEP_FILE, (json.dumps(body, indent=1, sort_keys=True) + "\n").encode())


def read_step_output(folder: Path) -> StepOutput:
    """Return what a step handed over. Raise OSError or ValueError with a sentence."""
    output_object = parse_json(read_limited_file(folder / STEP_FILE, MAX_STEP_BYTES))
    if not isinstance(output_object, dict) or output_object.pop("schema", None) != SCHEMA:
        raise ValueError(f"{folder / STEP_FILE} has another schema than {SCHEMA}")
    errors: list[str] = []
    output: StepOutput = convert_json(StepOutput, output_object, "", errors)
    if errors:
        raise ValueError(f"{folder / STEP_FILE} is not what a step writes: {'; '.join(errors)}")
    return output


def find_damaged_file(folder: Path, output: StepOutput, part: str = "") -> str:
    """Return why a file below the folder `part` is not as it was handed over; empty if every byte is."""
    files = {path: digest for path, digest in output.files.items() if path.startswith(f"{part}/" if part else "")}
    return checkpoint.find_changed_file(folder, files, "is not what the step made")
