"""Episodes of a CSV file, as people note them beside a real robot: policy, start, success, and perhaps a score."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from robotrain_runtime.comparison.observations import Observation

from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.redaction import redact, redact_if_secret

make_problem = Messages(__file__)

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
    try:
        csv_text = file_bytes.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_number = file_bytes.count(b"\n", 0, error.start) + 1
        raise Rejected([make_problem("scores-invalid.not-text", where=_place(file, line_number))]) from error
    delimiter = max(DELIMITERS, key=csv_text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(csv_text, newline=""), delimiter=delimiter, strict=True)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    raise_if_any(_find_wrong_columns(reader.fieldnames, file))
    problems: list[Problem] = []
    rows: list[tuple[str, dict[str, str]]] = []
    try:
        for row in reader:
            where = _place(file, reader.line_num)
            if None in row or None in row.values():
                reason = f"the line does not have the {len(reader.fieldnames)} cells of the first line"
                problems.append(make_problem("scores-invalid.line", where=where, reason=reason))
            elif any(cells := {name: cell.strip() for name, cell in row.items()}.values()):
                rows.append((where, dict(zip(row, cells, strict=True))))
    except csv.Error as error:
        where, reason = _place(file, reader.line_num), f"the line cannot be read as CSV: {error}"
        problems.append(make_problem("scores-invalid.line", where=where, reason=reason))
    _hide_secrets([row for _, row in rows])
    episodes: dict[tuple[str, ...], Observation] = {}
    for where, row in rows:
        try:
            episode = _read_row(row, has_comma=delimiter == ";")
        except ValueError as error:
            problems.append(make_problem("scores-invalid.line", where=where, reason=error))
            continue
        key = (episode.policy, episode.training, episode.condition, episode.start)
        if key in episodes:
            policy, start = redact(episode.policy), redact(episode.start)
            problems.append(make_problem("scores-invalid.start-twice", where=where, policy=policy, start=start))
        episodes[key] = episode
    if not rows and not problems:
        problems.append(make_problem("scores-invalid.line", where=_place(file, 1), reason="the file has no episode"))
    raise_if_any(problems)
    return _mark_repetitions([*episodes.values()])


def _place(file: str, line_number: int) -> str:
    return f"{redact(file)}:{line_number}"


def _find_wrong_columns(names: Sequence[str], file: str) -> Iterator[Problem]:
    missing = [name for name in REQUIRED if name not in names]
    if not {*MEASURED}.intersection(names):
        missing.append(" or ".join(MEASURED))
    if missing:
        found = redact(", ".join(names)) or "none"
        yield make_problem("scores-invalid.columns", where=_place(file, 1), missing=", ".join(missing), found=found)
    for name in COLUMNS:
        if names.count(name) > 1:
            reason = f"two columns are called {name}"
            yield make_problem("scores-invalid.line", where=_place(file, 1), reason=reason)


def _hide_secrets(rows: Sequence[dict[str, str]]) -> None:
    """Put words in the place of cells that are secrets: names are shown, and different ones stay different."""
    label_by_secret: dict[str, str] = {}
    for row in rows:
        for column in NAMES.intersection(row):
            if (cell_text := row[column]) != (redacted_text := redact_if_secret(cell_text)):
                row[column] = label_by_secret.setdefault(cell_text, f"{redacted_text} {len(label_by_secret) + 1}")


def _read_row(row: Mapping[str, str], has_comma: bool) -> Observation:
    """Return the episode of a row. Raise ValueError with what is wrong with it."""
    success, score = row.get("success", ""), row.get("score", "")
    absent = [name for name in REQUIRED if not row[name]] + ([] if success or score else [" or ".join(MEASURED)])
    if absent:
        raise ValueError(f"there is no {absent[0]}")
    if success and success.lower() not in ANSWERS:
        raise ValueError(f"the success {redact(success)!r} is neither 1 nor 0")
    try:
        number = float(score.replace(",", ".") if has_comma else score) if score else None
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise ValueError(f"the score {redact(score)!r} is not a number")
    return Observation(
        policy=row["policy"],
        start=row["start"],
        success=float(ANSWERS[success.lower()]) if success else None,
        score=number,
        condition=row.get("condition", ""),
        training=row.get("training", ""),
    )


def _mark_repetitions(episodes: Sequence[Observation]) -> list[Observation]:
    """Return the episodes with START-NUMBER as a repetition of START, if that is a number or a start of the file."""
    starts = {episode.start for episode in episodes}

    def mark(episode: Observation) -> Observation:
        start, _, repetition = episode.start.rpartition("-")
        is_repetition = repetition.isdecimal() and (start.isdecimal() or start in starts)
        return replace(episode, start=start, repetition=repetition) if is_repetition else episode

    return [mark(episode) for episode in episodes]
