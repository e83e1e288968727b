"""Scores that a program prints of the policy that it is given: its run is an evaluation, also without `--results`."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from robotrain_runtime.contract.event import Evaluated, Metrics, emit_event
from robotrain_runtime.contract.files import write_atomically

from robotrain_workloads.command.checkpoint_pattern import has_weights
from robotrain_workloads.command.metric_patterns import ESCAPE
from robotrain_workloads.command.program_spec import ProgramSpec
from robotrain_workloads.command.results import find_policy_step
from robotrain_workloads.command.usual_output import MAX_LINE

SCORE = re.compile(
    r"(?i)(?<![\w./-])((?:(?:mean|average|avg|overall|final|total|episode|eval|test)[_ ])*"
    r"(?:success(?:[_ ]rate)?|accuracy|reward|return|score))['\"]?(?:\s*[=:]\s*|\s+(?=[-+.\d]))"
    r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)(?:\s*(%)|/(\d+))?(?![\w/]|[.,:]\d)"
)
SCORES_FILE = "scores.json"
MARKS = (b"success", b"accuracy", b"reward", b"return", b"score")
AVERAGE = re.compile(r"(?:mean|average|avg|overall|final)_.*|.*_rate")
"""The name of a score that stands for all episodes each time it is printed; others do if they are printed once."""


class PrintedScores:
    """Sends the scores once the program has ended with 0, unless it leaves weights: then it has trained."""

    def __init__(self, spec: ProgramSpec, policy: str) -> None:
        """Follow a program that is given the policy in a folder."""
        self._outputs, self._policy = Path(spec.outputs), policy
        self._scores: dict[str, float] = {}
        self._counts = Counter[str]()

    def read_lines(self, lines: Iterable[bytes]) -> None:
        """Take the scores of lines of the program's output."""
        for raw_line in lines:
            lower_line = raw_line.lower()
            if len(raw_line) > MAX_LINE or not any(mark in lower_line for mark in MARKS):
                continue
            for match in SCORE.finditer(ESCAPE.sub("", raw_line.decode("utf-8", "replace"))):
                name = match[1].lower().replace(" ", "_")
                name = "success_rate" if name == "success" else name
                whole = 100.0 if match[3] else float(match[4] or 1)
                if whole:
                    self._scores[name] = float(match[2]) / whole
                    self._counts[name] += 1

    def read_new(self) -> None:
        """Do nothing: the last scores count."""

    def find_scores(self) -> dict[str, float]:
        """Return those of the evaluation; none of a program that leaves weights, which has trained."""
        scores = {
            name: score for name, score in self._scores.items() if self._counts[name] == 1 or AVERAGE.fullmatch(name)
        }
        return {} if has_weights(self._outputs) else scores

    def finish(self, exit_code: int, is_stopped: bool) -> Iterator[str]:
        """Send the scores, and keep them among the results."""
        if exit_code == 0 and not is_stopped and (scores := self.find_scores()):
            step = find_policy_step(self._policy)
            if not (file := self._outputs / SCORES_FILE).exists():
                write_atomically(file, json.dumps({"scores": scores, "step": step}).encode())
            emit_event(Metrics(values=scores, step=step, unit="value"))
            results, units = str(self._outputs.absolute()), dict.fromkeys(scores, "")
            emit_event(Evaluated(episodes=0, scores=scores, results=results, step=step, units=units))
        yield from ()
