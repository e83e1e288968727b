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
from robotrain_runtime.contract.event import Evaluated, Metrics, Note, emit_event
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
KEYS = frozenset({"scores", "episodes", "passed", "conditions", "step"})
SCORE_KEYS = frozenset({"value", "unit", "better", "low", "high"})


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
            fields, left_out = parse_results(read_limited_file(self._file, MAX_BYTES))
        except FileNotFoundError:
            written = ", ".join(sorted(path.name for path in Path(self._spec.outputs).iterdir())[:5])
            beside = f" ({{outputs}} has {written})" if written else " ({outputs} is empty)"
            yield f"the program ended with 0 and left no results: {self._name} is not in {{outputs}}{beside}"
            return
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            yield f"the results in {self._name} cannot be read: {reason}"
            return
        if left_out:
            text = f"{self._name} has scores without a finite value, which are left out: {', '.join(left_out)}"
            emit_event(Note(level="warning", text=text))
        pattern = self._spec.values["checkpoints"]
        folder = link_results(self._spec, str(pattern)) if pattern else Path(self._spec.outputs)
        step = int(fields.get("step") or 0) or find_policy_step(self._policy)
        evaluated = Evaluated(**{**fields, "results": str(folder.absolute()), "step": step})
        if pattern:  # the scores of a training are no progress
            emit_event(Metrics(values=evaluated.scores, step=step))
        else:
            played = max(evaluated.episodes, 1)
            emit_event(Metrics(values=evaluated.scores, step=played, total=played, unit="episode"))
        emit_event(evaluated)
        if evaluated.passed is False:
            yield f'the policy did not pass: {self._name} says "passed": false'


def parse_results(content: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of an Evaluated event, and the names of scores without a finite value.

    Raises:
        ValueError: the content is not of the form.
    """
    data = _load_object(content)
    _require_known(data, KEYS, "it")
    listed = data.get("scores")
    if not isinstance(listed, dict) or not listed:
        raise ValueError('it has no "scores", an object of names with numbers')
    if len(listed) > MAX_SCORES:
        raise ValueError(f"it has {len(listed)} scores; it can have at most {MAX_SCORES}")
    scores: dict[str, float] = {}
    units: dict[str, str] = {}
    better: dict[str, str] = {}
    left_out = []
    for name, score in listed.items():
        if not NAME.fullmatch(name) or not is_clean_name(name):
            raise ValueError("the name of a score is not of letters, digits, spaces and _ . / -, as a relative path is")
        described = score if isinstance(score, dict) else {"value": score}
        _require_known(described, SCORE_KEYS, f"the score {name}")
        value = _read_number(described, "value", name)
        if value is None:
            left_out.append(name)
            continue
        scores[name] = value
        units[name] = _read_text(described, "unit", f"the unit of {name}")
        if direction := described.get("better"):
            if direction not in ("higher", "lower"):
                raise ValueError(f'"better" of {name} is neither "higher" nor "lower"')
            better[name] = direction
        for bound in ("low", "high"):
            if (limit := _read_number(described, bound, name)) is not None:
                scores[f"{name}_{bound}"] = limit
    if not scores:
        raise ValueError("no score has a finite value")
    if episodes := _read_count(data, "episodes"):
        scores.setdefault("episodes", episodes)
    return {
        "scores": scores,
        "units": units,
        "better": better,
        "episodes": episodes,
        "step": _read_count(data, "step"),
        "passed": _read_verdict(data),
        "conditions": _read_text(data, "conditions", '"conditions"'),
    }, left_out


def _load_object(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg} in line {error.lineno}") from None
    except ValueError:
        raise ValueError("it has a number of too many digits") from None
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")
    return data


def _require_known(data: Mapping[str, Any], allowed: frozenset[str], what: str) -> None:
    if unknown := sorted(data.keys() - allowed):
        raise ValueError(f"{what} has {unknown[0][:50]!r}; known are {', '.join(sorted(allowed))}")


def _read_number(data: Mapping[str, Any], name: str, score: str) -> float | None:
    """Return a finite number; None for one that is missing, null or not finite."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} of {score} is no number")
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _read_count(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError(f'"{name}" is no count')
    return value


def _read_verdict(data: Mapping[str, Any]) -> bool | None:
    value = data.get("passed")
    if value is not None and not isinstance(value, bool):
        raise ValueError('"passed" is neither true, false nor null')
    return value


def _read_text(data: Mapping[str, Any], name: str, what: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise ValueError(f"{what} is no line of at most {MAX_TEXT} characters")
    return value


def find_policy_step(policy: str) -> int:
    """Return the step of a policy by the manifest of its checkpoint; 0 if it has none."""
    folders = [Path(policy), *list(Path(policy).parents)[:1]] if policy else []
    manifests = (checkpoint.read_manifest(folder) for folder in folders)
    return next((manifest.step for manifest in manifests if manifest), 0)


def link_results(spec: ProgramSpec, pattern: str) -> Path:
    """Return a folder with what a program wrote except its checkpoints, as hard links."""
    outputs = Path(spec.outputs)
    folder = Path(spec.outputs).with_name(RESULTS_FOLDER)
    saved = {path for path, _ in CheckpointPattern(pattern).find_checkpoints(outputs)}
    with result_files.fill_folder(folder) as partial:
        for path in sorted(outputs.rglob("*")):
            relative = path.relative_to(outputs)
            name = relative.as_posix()
            above = {folder.as_posix() for folder in relative.parents}
            if path.is_file() and not path.is_symlink() and not saved & {name, *above}:
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                link_file(path, partial / name)
    return folder


def link_file(path: Path, to: Path) -> None:
    """Link a file, or copy it where the disk has no hard links."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copy2(path, to)
