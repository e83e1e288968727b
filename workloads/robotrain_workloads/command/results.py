"""Scores that a program writes, which make its run an evaluation: `--results FILE`.

The file is a JSON object below the program's outputs:
`{"scores": {"success_rate": {"value": 0.82, "unit": "share", "better": "higher", "low": 0.69, "high": 0.91},
"return": 12.3}, "episodes": 50, "passed": true, "conditions": "…", "step": 1000}`. Only `scores` is needed.
"""

import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Evaluated, Metrics, emit_event, emit_note
from robotrain_runtime.contract.files import read_limited_file

from robotrain_workloads.command.checkpoint_pattern import CheckpointPattern
from robotrain_workloads.command.program_spec import ProgramSpec
from robotrain_workloads.evaluation import result_files
from robotrain_workloads.supervision.metric_row import is_clean_name

RESULTS_FOLDER = "results"
"""The results without the checkpoints that stand beside them, below the run's outputs."""
MAX_BYTES = 1 << 20
MAX_SCORES = 200
NAME = re.compile(r"[\w./ -]{1,200}", re.ASCII)
"""The names that tracking takes."""
MAX_TEXT = 300


class ResultsFollower:
    """Reads the results once the program has ended with 0."""

    def __init__(self, spec: ProgramSpec, policy: str) -> None:
        """Follow a program that evaluates the policy in a folder; empty if it has none."""
        self._spec, self._policy = spec, policy
        self._name = str(spec.values["results"])
        self._file = Path(spec.outputs, self._name)
        self._file.unlink(missing_ok=True)  # of an earlier attempt

    def read_new(self) -> None:
        """Do nothing: results are complete at the end."""

    def finish(self, exit_code: int, is_stopped: bool) -> Iterator[str]:
        """Send the results; yield why they cannot be read, or that the policy did not pass."""
        if exit_code != 0 or is_stopped:
            return
        try:
            fields, omitted_names = parse_results(read_limited_file(self._file, MAX_BYTES))
        except FileNotFoundError:
            yield f"the program ended with 0 and left no results: {self._name} is not in {{outputs}}"
            return
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            yield f"the results in {self._name} cannot be read: {reason}"
            return
        if omitted_names:
            warning_text = (
                f"{self._name} has scores without a finite value, which are left out: {', '.join(omitted_names)}"
            )
            emit_note(warning_text, "warning")
        pattern = self._spec.values["checkpoints"]
        folder = link_results(self._spec, str(pattern)) if pattern else Path(self._spec.outputs)
        step = int(fields.get("step") or 0) or find_policy_step(self._policy)
        evaluated = Evaluated(**{**fields, "results": str(folder.absolute()), "step": step})
        if pattern:  # the scores of a training are no progress
            emit_event(Metrics(values=evaluated.scores, step=step))
        else:
            played_episodes = max(evaluated.episodes, 1)
            emit_event(Metrics(values=evaluated.scores, step=played_episodes, total=played_episodes, unit="episode"))
        emit_event(evaluated)
        if evaluated.passed is False:
            yield f'the policy did not pass: {self._name} says "passed": false'


def parse_results(results_json: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of an Evaluated event, and the names of scores without a finite value.

    Raises:
        ValueError: the content is not of the form.
    """
    results = _load_object(results_json)
    listed_scores = results.get("scores")
    if not isinstance(listed_scores, dict) or not listed_scores:
        raise ValueError('it has no "scores", an object of names with numbers')
    if len(listed_scores) > MAX_SCORES:
        raise ValueError(f"it has {len(listed_scores)} scores; it can have at most {MAX_SCORES}")
    scores: dict[str, float] = {}
    units: dict[str, str] = {}
    better_directions: dict[str, str] = {}
    omitted_names = []
    for name, score in listed_scores.items():
        if not NAME.fullmatch(name) or not is_clean_name(name):
            raise ValueError("the name of a score is not of letters, digits, spaces and _ . / -, as a relative path is")
        score_fields = score if isinstance(score, dict) else {"value": score}
        score_value = _read_number(score_fields, "value", name)
        if score_value is None:
            omitted_names.append(name)
            continue
        scores[name] = score_value
        units[name] = _read_text(score_fields, "unit", f"the unit of {name}")
        if direction := score_fields.get("better"):
            if direction not in ("higher", "lower"):
                raise ValueError(f'"better" of {name} is neither "higher" nor "lower"')
            better_directions[name] = direction
        for bound in ("low", "high"):
            if (bound_value := _read_number(score_fields, bound, name)) is not None:
                scores[f"{name}_{bound}"] = bound_value
    if not scores:
        raise ValueError("no score has a finite value")
    if episodes := _read_count(results, "episodes"):
        scores.setdefault("episodes", episodes)
    return {
        "scores": scores,
        "units": units,
        "better": better_directions,
        "episodes": episodes,
        "step": _read_count(results, "step"),
        "passed": _read_verdict(results),
        "conditions": _read_text(results, "conditions", '"conditions"'),
    }, omitted_names


def _load_object(results_json: bytes) -> dict[str, Any]:
    try:
        results = json.loads(results_json)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if not isinstance(results, dict):
        raise ValueError("it is no JSON object")
    return results


def _read_number(score_fields: Mapping[str, Any], name: str, score: str) -> float | None:
    """Return a finite number; None for one that is missing, null or not finite."""
    value = score_fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} of {score} is no number")
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _read_count(data: Mapping[str, Any], name: str) -> int:
    count = data.get(name)
    if count is None:
        return 0
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 2**53:
        raise ValueError(f'"{name}" is no count')
    return count


def _read_verdict(results: Mapping[str, Any]) -> bool | None:
    verdict = results.get("passed")
    if verdict is not None and not isinstance(verdict, bool):
        raise ValueError('"passed" is neither true, false nor null')
    return verdict


def _read_text(data: Mapping[str, Any], name: str, what: str) -> str:
    field_text = data.get(name)
    if field_text is None:
        return ""
    if not isinstance(field_text, str) or len(field_text) > MAX_TEXT or not field_text.isprintable():
        raise ValueError(f"{what} is no line of at most {MAX_TEXT} characters")
    return field_text


def find_policy_step(policy: str) -> int:
    """Return the step of a policy by the manifest of its checkpoint; 0 if it has none."""
    folders = [Path(policy), *list(Path(policy).parents)[:1]] if policy else []
    manifests = (checkpoint.read_manifest(folder) for folder in folders)
    return next((manifest.step for manifest in manifests if manifest), 0)


def link_results(spec: ProgramSpec, pattern: str) -> Path:
    """Return a folder with what a program wrote except its checkpoints, as hard links."""
    outputs = Path(spec.outputs)
    folder = Path(spec.outputs).with_name(RESULTS_FOLDER)
    saved_paths = {path for path, _ in CheckpointPattern(pattern).find_checkpoints(outputs)}
    with result_files.fill_folder(folder) as scratch_folder:
        for path in sorted(outputs.rglob("*")):
            relative_path = path.relative_to(outputs)
            name = relative_path.as_posix()
            parent_names = {folder.as_posix() for folder in relative_path.parents}
            if path.is_file() and not path.is_symlink() and not saved_paths & {name, *parent_names}:
                (scratch_folder / name).parent.mkdir(parents=True, exist_ok=True)
                link_file(path, scratch_folder / name)
    return folder


def link_file(path: Path, to: Path) -> None:
    """Link a file, or copy it where the disk has no hard links."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copy2(path, to)
