"""Episodes of a CSV file, as people note them beside a real robot: policy, start, success, and perhaps a score."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from robotrain_runtime.comparison.observations import Observation

from robotrain.errors import Problem, raise_if_any
from robotrain.messages import Messages
from robotrain.nearest_name import find_nearest_name
from robotrain.redaction import redact, redact_if_secret

make_problem = Messages(__file__)

FLAG = "--scores"
COLUMNS = ("policy", "start", "success", "score", "condition", "training")
REQUIRED = COLUMNS[:2]
MEASURED = ("success", "score")
NAMES = frozenset(COLUMNS).difference(MEASURED)
DELIMITERS = (",", ";", "\t")
ANSWERS = {
    **dict.fromkeys(("1", "true", "yes", "y", "success", "succeeded", "pass", "passed"), True),
    **dict.fromkeys(("0", "false", "no", "n", "failure", "failed", "fail"), False),
}
"""What people write for the success of an episode."""


def read_scores(content: bytes, file: str) -> list[Observation]:
    """Return the episodes of a file, in its order. Raise Rejected with the problems of all lines.

    :param file: its name, for messages.
    """
    problems: list[Problem] = []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(make_problem("scores-invalid.not-text", where=_place(file, line)))
    raise_if_any(problems)
    head = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = list[tuple[int, dict[str, str]]]()
    try:
        names = [cell.strip().lower() for cell in next(reader, [])]
        problems += _find_missing_columns(names, file)
        raise_if_any(problems)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) != len(names):
                    where = _place(file, reader.line_num)
                    problems.append(make_problem("scores-invalid.cells", where=where, count=len(cells), of=len(names)))
                else:
                    row = dict(zip(names, (cell.strip() for cell in cells), strict=True))
                    rows.append((reader.line_num, row))
    except csv.Error as error:
        where = _place(file, reader.line_num)
        problems.append(make_problem("scores-invalid.not-csv", where=where, error=str(error)))
    has_comma = delimiter == ";"
    _hide_secrets(rows)
    parsed_rows = [(line, _read_row(row, _place(file, line), has_comma, problems)) for line, row in rows]
    episodes = [(line, episode) for line, episode in parsed_rows if episode]
    problems += _find_repeated(episodes, file)
    if not rows and not problems:
        problems.append(make_problem("scores-invalid.empty", where=_place(file, 1)))
    raise_if_any(problems)
    return _mark_repetitions([episode for _, episode in episodes])


def _mark_repetitions(episodes: Sequence[Observation]) -> list[Observation]:
    """Return the episodes with START-NUMBER as a repetition of START, if that is a number or a start of the file."""
    starts = {episode.start for episode in episodes}

    def mark(episode: Observation) -> Observation:
        start, _, repetition = episode.start.rpartition("-")
        is_repetition = repetition.isdecimal() and (start.isdecimal() or start in starts)
        return replace(episode, start=start, repetition=repetition) if is_repetition else episode

    return [mark(episode) for episode in episodes]


def _hide_secrets(rows: Sequence[tuple[int, dict[str, str]]]) -> None:
    """Put words in the place of cells that are secrets: names are shown, and different ones stay different."""
    shown: dict[str, str] = {}
    for _, row in rows:
        for column in NAMES.intersection(row):
            if (text := row[column]) != (hidden := redact_if_secret(text)):
                row[column] = shown.setdefault(text, f"{hidden} {len(shown) + 1}")


def _place(file: str, line: int) -> str:
    return f"{redact(file)}:{line}"


def _find_missing_columns(names: Sequence[str], file: str) -> Iterator[Problem]:
    has_measure = any(name in names for name in MEASURED)
    absent = [name for name in (*REQUIRED, *(() if has_measure else MEASURED)) if name not in names]
    missing = [name for name in absent if name in REQUIRED] + ([] if has_measure else [" or ".join(MEASURED)])
    near = ((find_nearest_name(name, absent), name) for name in names if name and name not in COLUMNS)
    named = "; ".join(f"{redact(column)!r} is perhaps {meant!r}" for meant, column in near if meant)
    if missing:
        yield make_problem(
            "scores-invalid.columns",
            where=_place(file, 1),
            missing=", ".join(missing),
            found=redact(", ".join(names)) or "none",
            near=f"{named[:1].upper()}{named[1:]}." if named else None,
        )
    for name in sorted({name for name in names if name in COLUMNS and names.count(name) > 1}):
        yield make_problem("scores-invalid.column-twice", where=_place(file, 1), name=name)


def _read_row(row: Mapping[str, str], where: str, has_comma: bool, problems: list[Problem]) -> Observation | None:
    """Return the episode of a row; None, with its problem, if it is none."""
    before = len(problems)
    for name in REQUIRED:
        if not row[name]:
            problems.append(make_problem("scores-invalid.no-value", where=where, name=name))
    success = row.get("success", "")
    score = row.get("score", "")
    if success and success.lower() not in ANSWERS:
        problems.append(make_problem("scores-invalid.success", where=where, given=success))
    number: float | None = None
    try:
        number = float(score.replace(",", ".") if has_comma else score) if score else None
        if number is not None and not math.isfinite(number):
            raise ValueError
    except ValueError:
        problems.append(make_problem("scores-invalid.score", where=where, given=score))
    if not success and not score:
        problems.append(make_problem("scores-invalid.no-value", where=where, name=" or ".join(MEASURED)))
    if len(problems) > before:
        return None
    return Observation(
        policy=row["policy"],
        start=row["start"],
        success=float(ANSWERS[success.lower()]) if success else None,
        score=number,
        condition=row.get("condition", ""),
        training=row.get("training", ""),
    )


def _find_repeated(episodes: Sequence[tuple[int, Observation]], file: str) -> Iterator[Problem]:
    lines: dict[tuple[str, ...], int] = {}
    for line, episode in episodes:
        first = lines.setdefault((episode.policy, episode.training, episode.condition, episode.start), line)
        if first != line:
            yield make_problem(
                "scores-invalid.start-twice",
                where=_place(file, line),
                policy=redact(episode.policy),
                start=redact(episode.start),
                first=first,
            )
