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


def read_scores(file_bytes: bytes, file: str) -> list[Observation]:
    """Return the episodes of a file, in its order. Raise Rejected with the problems of all lines.

    :param file: its name, for messages.
    """
    problems: list[Problem] = []
    try:
        csv_text = file_bytes.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_number = file_bytes.count(b"\n", 0, error.start) + 1
        problems.append(make_problem("scores-invalid.not-text", where=_place(file, line_number)))
    raise_if_any(problems)
    head = csv_text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(csv_text, newline=""), delimiter=delimiter)
    rows = list[tuple[int, dict[str, str]]]()
    try:
        column_names = [cell.strip().lower() for cell in next(reader, [])]
        problems += _find_missing_columns(column_names, file)
        raise_if_any(problems)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) != len(column_names):
                    location = _place(file, reader.line_num)
                    problems.append(
                        make_problem("scores-invalid.cells", where=location, count=len(cells), of=len(column_names))
                    )
                else:
                    row = dict(zip(column_names, (cell.strip() for cell in cells), strict=True))
                    rows.append((reader.line_num, row))
    except csv.Error as error:
        location = _place(file, reader.line_num)
        problems.append(make_problem("scores-invalid.not-csv", where=location, error=str(error)))
    has_comma = delimiter == ";"
    _hide_secrets(rows)
    parsed_rows = [
        (line_number, _read_row(row, _place(file, line_number), has_comma, problems)) for line_number, row in rows
    ]
    episodes = [(line_number, episode) for line_number, episode in parsed_rows if episode]
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
    label_by_secret: dict[str, str] = {}
    for _, row in rows:
        for column in NAMES.intersection(row):
            if (cell_text := row[column]) != (redacted_text := redact_if_secret(cell_text)):
                row[column] = label_by_secret.setdefault(cell_text, f"{redacted_text} {len(label_by_secret) + 1}")


def _place(file: str, line_number: int) -> str:
    return f"{redact(file)}:{line_number}"


def _find_missing_columns(column_names: Sequence[str], file: str) -> Iterator[Problem]:
    has_measure = any(name in column_names for name in MEASURED)
    absent_columns = [name for name in (*REQUIRED, *(() if has_measure else MEASURED)) if name not in column_names]
    missing_columns = [name for name in absent_columns if name in REQUIRED] + (
        [] if has_measure else [" or ".join(MEASURED)]
    )
    similar_columns = (
        (find_nearest_name(name, absent_columns), name) for name in column_names if name and name not in COLUMNS
    )
    hint_text = "; ".join(
        f"{redact(column)!r} is perhaps {meant_column!r}" for meant_column, column in similar_columns if meant_column
    )
    if missing_columns:
        yield make_problem(
            "scores-invalid.columns",
            where=_place(file, 1),
            missing=", ".join(missing_columns),
            found=redact(", ".join(column_names)) or "none",
            near=f"{hint_text[:1].upper()}{hint_text[1:]}." if hint_text else None,
        )
    for name in sorted({name for name in column_names if name in COLUMNS and column_names.count(name) > 1}):
        yield make_problem("scores-invalid.column-twice", where=_place(file, 1), name=name)


def _read_row(row: Mapping[str, str], where: str, has_comma: bool, problems: list[Problem]) -> Observation | None:
    """Return the episode of a row; None, with its problem, if it is none."""
    problem_count = len(problems)
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
    if len(problems) > problem_count:
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
    line_by_episode: dict[tuple[str, ...], int] = {}
    for line_number, episode in episodes:
        first_line = line_by_episode.setdefault(
            (episode.policy, episode.training, episode.condition, episode.start), line_number
        )
        if first_line != line_number:
            yield make_problem(
                "scores-invalid.start-twice",
                where=_place(file, line_number),
                policy=redact(episode.policy),
                start=redact(episode.start),
                first=first_line,
            )
