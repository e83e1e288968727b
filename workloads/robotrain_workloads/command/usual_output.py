"""Losses and steps in the lines that training programs usually print, for a job that names no expressions.

`loss=0.5`, `val_loss: 0.4`, `step 50/1000`, a bar of tqdm, and the dictionary of Hugging Face's trainer. What may mean
something else is left out: a value that is missing in a chart harms less than one that is wrong.
"""

import re
from collections.abc import Iterable

from robotrain_runtime.contract.event import Unit

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
STEP = re.compile(rf"(?i)(?<![\w.-])(?:global[_ ]?step|step|iteration|iter|it){_COUNT}")
COUNTER = re.compile(rf"(?i)(?:^|\[|\b(?:info|train|training)\b:?)\s*(\d+)/(\d+)(?!\s+\d+:\d){_END}")
"""A step with its total and no name: `[5/60]`, or `5/60` at the start of a line."""
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
        self._at: tuple[int, int | None] | None = None
        """The last step and total that the program told."""
        self._unit: Unit = "step"
        """What `_at` counts; `value` if it tells no step, or one that begins again."""
        self._bar: tuple[int, int | None] | None = None
        """The last state of a bar without a name and a loss, which stands beside dictionaries."""
        self._epoch: tuple[int, int | None] | None = None
        """The last epoch and how many there are; None before one is told."""
        self._first_number: int | None = None
        self._is_withdrawn = False
        """Whether the steps that were told turned out to be none, and nobody was told yet."""
        self._position = 0
        """Where the last value is; values without a step follow it."""

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
        """Return the rows of a line; one without values tells of the step or epoch alone."""
        if ROW.fullmatch(line):
            metric_values, is_told = self._read_dictionary(line), False
        else:
            metric_values = _find_losses(line)
            is_told = self._find_step(line, has_values=bool(metric_values))
        if not metric_values and not is_told:
            return []
        if self._at is not None and self._unit != "value":
            self._position = max(self._position, self._at[0])
            return [MetricRow(self._at[0], metric_values, self._at[1], unit=self._unit)]
        rows: list[MetricRow] = []
        if self._is_withdrawn:
            self._is_withdrawn = False
            self._position += 1
            rows.append(MetricRow(self._position, {}, unit="value"))
        if metric_values:
            self._position += 1
            rows.append(MetricRow(self._position, metric_values, unit="value"))
        if self._epoch:
            rows.append(MetricRow(self._epoch[0], {}, self._epoch[1], unit="epoch"))
        return rows

    def _read_dictionary(self, line: str) -> dict[str, float]:
        """Return the metrics of a dictionary, none if it has no loss or sums a training up.

        Hugging Face's trainer tells the step by the bar beside it.
        """
        metrics = {name: float(number_text) for name, number_text in ITEM.findall(line)}
        losses = [name for name in metrics if name.rpartition("/")[2].endswith("loss")]
        if "train_runtime" in metrics or not losses:
            return {}
        steps = [step for name in STEP_NAMES if (step := parse_step(metrics.get(name))) is not None]
        if steps:
            self._set_step(steps[0], None)
        elif self._bar and not all(map(VALIDATION.search, losses)):
            self._set_step(*self._bar)
        return {clean_name(name): value for name, value in metrics.items() if not NO_METRIC.fullmatch(name)}

    def _find_step(self, line: str, *, has_values: bool) -> bool:
        """Note the step or epoch that a line tells; return whether it tells one of the training."""
        epoch = EPOCH.search(line)
        rest = line[: epoch.start()] + " " * len(epoch[0]) + line[epoch.end() :] if epoch else line
        bar = BAR.search(line)
        match = bar or STEP.search(line) or (COUNTER.search(rest) if has_values else None)
        if VALIDATION.search(line[: match.start()] if match else ""):
            return False
        if epoch and (number := parse_step(epoch[1])) is not None:
            self._epoch = number, parse_step(epoch[2])
            if not match and has_values and (self._at is None or self._unit == "epoch"):
                self._at, self._unit = self._epoch, "epoch"
        if not match:
            return False
        number = parse_step(match[1])
        total = parse_step(match[2])
        if number is None or (total is not None and number > total):
            return False
        if not has_values and bar:
            is_other = self._at and self._at[1] not in (None, total)
            if line.lstrip()[:1].isdigit() and not is_other:
                self._bar = number, total
            return False
        word = WORD.search(line[: match.start()][-MAX_BEFORE:])
        is_of_training = word is None or word[1].lower() in STEP_WORDS
        if not has_values and (total is None or total < LEAST_TOTAL or not is_of_training):
            return False
        self._set_step(number, total)
        return True

    def _set_step(self, number: int, total: int | None) -> None:
        """Note a counter of the program: the step, unless it counts those of an epoch and begins again in the next."""
        last_number = self._at[0] if self._at and self._unit != "epoch" else None
        if self._first_number is None:
            self._first_number = number
            begins_again = self._epoch is not None and self._epoch[0] > 1 and total is not None
        else:
            is_lower = last_number is not None and number < last_number
            begins_again = number <= self._first_number and (is_lower or number == total)
        if begins_again:
            self._is_withdrawn = self._unit == "step" and self._epoch is None
            self._unit = "value"
        elif self._unit == "epoch":
            self._unit = "step"
        self._at = number, (None if self._epoch else total)


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
