"""Losses and steps in the lines that training programs usually print, for a job that names no expressions.

`loss=0.5`, `val_loss: 0.4`, `step 50/1000`, a bar of tqdm, and the dictionary of Hugging Face's trainer. What may mean
something else is left out: a value that is missing in a chart harms less than one that is wrong.
"""

import re
from collections.abc import Iterable

from robotrain_workloads.command.metric_patterns import ESCAPE
from robotrain_workloads.supervision.metric_row import MetricRow, clean_name, parse_step

MAX_LINE, MAX_BEFORE = 2000, 40
"""Characters of a line with metrics, and of what is looked at before a name."""
LEAST_TOTAL = 10
"""Of `step 3/5` alone: what a program prepares has fewer steps."""
MARKS = (b"loss", b"step", b"iter", b"epoch", b"it/s]", b"s/it]", b"00:")
_NUMBER = r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|[-+]?(?:nan|inf)\b)"
_END = r"(?![\w%/]|[.,:]\d)"
_COUNT = rf"\s*[=:#]?\s*[\[(]?\s*(\d+)(?:\s*/\s*(\d+))?{_END}"
_ROLE = r"train|training|val|valid|validation|eval|test|total"
_IS = r"(?:['\"]?\s*[=:]\s*(?:tensor\()?|\s+(?=\d+\.\d|[-+]?(?:nan|inf)\b))"
LOSS = re.compile(rf"(?i)(?<![\w./-])((?:[a-z]\w*[/_.])?loss(?:[_/](?:{_ROLE}))?){_IS}{_NUMBER}{_END}")
STEP = re.compile(rf"(?i)(?<![\w.-])(?:global[_ ]?step|step|iteration|iter){_COUNT}")
THOUSANDS = re.compile(r"(?<=\bstep:)(\d+)K\b")
"""LeRobot's steps from 1,000 on."""
EPOCH = re.compile(rf"(?i)(?<![\w.-])epoch{_COUNT}")
BAR = re.compile(r"\|\s*(\d+)/(\d+) \[\d+:\d+")
ROW = re.compile(r"\s*\{[^{}]*\}\s*")
"""A dictionary on a line of its own."""
ITEM = re.compile(rf"(?i)['\"]([\w./-]+)['\"]\s*:\s*['\"]?{_NUMBER}['\"]?\s*(?=[,}}])")
WORD = re.compile(r"([A-Za-z]\w*)['\"]?[ \t]+$")
VALIDATION = re.compile(r"(?i)(?<![a-z])(val|eval|test)(?:id|idation|idating|uation|uating|ing)?(?![a-z])")
PLAIN_WORDS = frozenset(
    {"a", "and", "at", "average", "avg", "batch", "current", "epoch", "info", "is", "its", "mean", "of", "running"}
    | {"step", "the", "total", "with"}
)
"""Before `loss`, words that tell no other loss apart."""
OTHER_VALUES = re.compile(
    r"(?i)(?<![a-z])(?:best|final|initial|last|least|lowest|max|min|old|previous|target)(?![a-z])"
)
"""Before `loss`, words of a value that is not that of now."""
STEP_WORDS = frozenset({"at", "global", "info", "train", "training"})
STEP_NAMES = ("step", "global_step", "iteration")
NO_METRIC = re.compile(r"epoch|step|global_step|iteration|total_flos|.*(?:_runtime|_per_second)")


class UsualOutput:
    """Finds metrics in lines, as `LineReader` does. Values without a step are counted."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.unmatched: list[str] = []
        self.slow: list[str] = []
        self._counts: dict[str, int] = {}
        self._at: tuple[int, int | None] | None = None
        self._bar: tuple[int, int | None] | None = None
        """The last state of a bar without a name and a loss, which stands beside dictionaries."""
        self._epoch: int | None = None
        self._last, self._offset = (0, 0), 0
        """Epoch and step of the last line with both, and the steps of the epochs before."""

    def read_lines(self, lines: Iterable[bytes]) -> list[MetricRow]:
        """Return the values in the lines, in their order."""
        rows: list[MetricRow] = []
        for raw_line in lines:
            lower_line = raw_line.lower()
            if len(raw_line) <= MAX_LINE and any(mark in lower_line for mark in MARKS):
                line = raw_line.decode("utf-8", "replace")
                line = ESCAPE.sub("", line) if "\x1b" in line else line
                rows += self._read_line(THOUSANDS.sub(r"\g<1>000", line))
        return rows

    def _read_line(self, line: str) -> list[MetricRow]:
        """Return the row of a line; one without values tells of the step alone."""
        if ROW.fullmatch(line):
            metric_values, position = self._read_dictionary(line)
        else:
            metric_values = _find_losses(line)
            position = self._find_step(line, has_values=bool(metric_values))
        if not metric_values:
            return [MetricRow(position[0], {}, position[1])] if position else []
        for name in metric_values:
            self._counts[name] = self._counts.get(name, 0) + 1
        position = position or self._at
        if position is None:
            return [MetricRow(max(self._counts[name] for name in metric_values), metric_values, is_counted=True)]
        return [MetricRow(position[0], metric_values, position[1])]

    def _read_dictionary(self, line: str) -> tuple[dict[str, float], tuple[int, int | None] | None]:
        """Return the metrics of a dictionary, none if it has no loss or sums a training up; and the step of training.

        Hugging Face's trainer tells the step by the bar beside it.
        """
        metrics = {name: float(number_text) for name, number_text in ITEM.findall(line)}
        losses = [name for name in metrics if name.rpartition("/")[2].endswith("loss")]
        if "train_runtime" in metrics or not losses:
            return {}, None
        steps = [step for name in STEP_NAMES if (step := parse_step(metrics.get(name))) is not None]
        if steps:
            self._at = steps[0], None
        elif self._bar and not all(map(VALIDATION.search, losses)):
            self._at = self._bar
        return {clean_name(name): value for name, value in metrics.items() if not NO_METRIC.fullmatch(name)}, self._at

    def _find_step(self, line: str, *, has_values: bool) -> tuple[int, int | None] | None:
        """Return the step and the last one that a line tells; None if it tells none of the training."""
        bar = BAR.search(line)
        epoch = EPOCH.search(line)
        match = bar or STEP.search(line)
        if epoch and not match:
            self._epoch = int(epoch[1])
            number = parse_step(epoch[1]) if has_values and self._at is None else None
            return None if number is None else (number, parse_step(epoch[2]))
        if not match or VALIDATION.search(line[: match.start()]):
            return None
        number = parse_step(match[1])
        total = parse_step(match[2])
        if number is None or (total is not None and number > total):
            return None
        if not has_values and bar:
            is_other = self._at and self._at[1] not in (None, total)
            if line.lstrip()[:1].isdigit() and not is_other:
                self._bar = number, total
            return None
        word = WORD.search(line[: match.start()][-MAX_BEFORE:])
        is_of_training = word is None or word[1].lower() in STEP_WORDS
        if not has_values and (total is None or total < LEAST_TOTAL or not is_of_training):
            return None
        if epoch or self._epoch is not None:  # what a step begins again after, and so no step is the last
            self._epoch = int(epoch[1]) if epoch else self._epoch
            number, total = self._add_epochs(number, total), None
        self._at = number, total
        return self._at

    def _add_epochs(self, step: int, total: int | None) -> int:
        """Return the step of the whole training, if it begins again in each epoch."""
        epoch, (last_epoch, last_step) = self._epoch or 0, self._last
        if epoch > last_epoch and step <= last_step:
            self._offset += total or last_step
        self._last = epoch, step
        return self._offset + step


def _find_losses(line: str) -> dict[str, float]:
    """Return the losses of a line by name: `val_loss` for one behind a word such as `validation`."""
    losses: dict[str, float] = {}
    previous_end = 0
    for match in LOSS.finditer(line):
        preceding_text = line[previous_end : match.start()][-MAX_BEFORE:]
        previous_end = match.end()
        name = match[1].lower()
        if OTHER_VALUES.search(name.replace("_", " ")) or OTHER_VALUES.search(preceding_text):
            continue
        word = (WORD.search(preceding_text) or ("", ""))[1].lower()
        if name == "loss" and (validation := VALIDATION.search(preceding_text)):
            name = f"{validation[1].lower()}_loss"
        elif name == "loss" and word and word not in PLAIN_WORDS:
            name = f"{'train' if word == 'training' else word}_loss"
        losses.setdefault(clean_name(name), float(match[2]))
    return losses
