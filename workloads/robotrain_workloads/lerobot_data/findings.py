"""Findings about a dataset: what is wrong with it, in which episodes, by how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning"]
Span = tuple[int, int, int]
"""Where it is: episode, first frame, last frame + 1."""


class FindingKind(NamedTuple):
    """What all findings of a code have in common. An error is what no policy can be trained with."""

    severity: Severity
    meaning: str
    fix: str
    is_cured_by_exclusion: bool = False
    """Whether leaving out its episodes leaves nothing of it."""


def _error(meaning: str, fix: str, *, by_exclusion: bool = False) -> FindingKind:
    return FindingKind("error", meaning, fix, by_exclusion)


def _warning(meaning: str, fix: str, *, by_exclusion: bool = False) -> FindingKind:
    return FindingKind("warning", meaning, fix, by_exclusion)


KINDS: Mapping[str, FindingKind] = {
    # The tables: they disagree with one another.
    "file-unreadable": _error("A file cannot be read.", "Copy or download the dataset again."),
    "file-missing": _error("A file that the dataset names does not exist.", "Copy or download the dataset again."),
    "file-is-pointer": _error("A file is a pointer of Git LFS.", "Run `git lfs pull` in the dataset."),
    "counts-disagree": _error(
        "meta/info.json counts other episodes or frames than the dataset has.", "Correct meta/info.json."
    ),
    "episodes-disagree": _error(
        "meta/episodes does not have every episode once, in order, with its frames.", "Record or convert it again."
    ),
    "frames-disagree": _error(
        "The frames of data/ are not those that meta/episodes names.", "Record or convert it again."
    ),
    "column-missing": _error("A feature has no column in the files.", "Correct meta/info.json, or add the column."),
    "shape-differs": _error(
        "A feature has another shape or type than meta/info.json says.", "Correct `shape` in meta/info.json."
    ),
    "value-not-finite": _error("A number is NaN or infinite.", "Leave out the episode.", by_exclusion=True),
    "timestamp-off": _error(
        "A timestamp is not where its frame is at the dataset's fps.", "Correct the timestamps, or fps."
    ),
    "task-missing": _error("A frame has a task that meta/tasks.parquet lacks.", "Correct meta/tasks.parquet."),
    "picture-size": _error("Pictures have another size than meta/info.json says.", "Correct meta/info.json."),
    "video-unreadable": _error("A video cannot be read.", "Copy or download the dataset again.", by_exclusion=True),
    "video-short": _error("A video ends before its episode does.", "Leave out the episode.", by_exclusion=True),
    # Pictures.
    "camera-black": _warning("A camera shows nothing but black.", "Leave out the episodes.", by_exclusion=True),
    "camera-constant": _warning("A camera shows one color.", "Leave out the episodes.", by_exclusion=True),
    "camera-frozen": _warning(
        "A camera shows the same picture while the robot moves.", "Leave out the episodes.", by_exclusion=True
    ),
    # Episodes.
    "episode-repeated": _warning(
        "An episode repeats the frames of another.", "Leave out the copies.", by_exclusion=True
    ),
    "episode-in-validation": _warning(
        "Copies of one episode are on both sides of the validation split: its loss is too good.",
        "Leave out the copies.",
        by_exclusion=True,
    ),
    "episode-short": _warning("An episode has too few frames to learn from.", "Leave it out.", by_exclusion=True),
    "idle-start": _warning("An episode begins with seconds without motion.", "Cut them: policies learn to wait."),
    "idle-end": _warning("An episode ends with seconds without motion.", "Cut them: policies learn to stop early."),
    "task-empty": _warning("An episode has a task without text.", "Write the text: language policies read it."),
    # Actions and states.
    "action-constant": _warning(
        "The action does not change in a whole episode.", "Leave out the episode.", by_exclusion=True
    ),
    "dimension-stuck": _warning(
        "The action of a joint stays the same in an episode while its state moves, or the other way round.",
        "Leave out the episode.",
        by_exclusion=True,
    ),
    "dimension-constant": _warning("A dimension has the same value in all frames.", "See what it is for."),
    "dimension-tiny": _warning(
        "A dimension hardly changes: normalization makes its noise as large as motion.",
        "Remove it, or set its statistics.",
    ),
    "calibration-offset": _warning(
        "The action and the state differ by a constant at rest.", "Calibrate leader and follower, and record again."
    ),
    "action-jump": _warning("The action jumps as motion does not.", "See the episode.", by_exclusion=True),
    "action-saturated": _warning("The action stays at its limit.", "See the episode.", by_exclusion=True),
    # Time.
    "frames-dropped": _warning(
        "Frames are missing: motion jumps by several frames.", "Leave out the episode.", by_exclusion=True
    ),
    "frames-repeated": _warning(
        "Frames are recorded twice while the robot moves.", "Leave out the episode.", by_exclusion=True
    ),
    "fps-differs": _warning("The videos have other frames per second than meta/info.json.", "Correct fps."),
    "timestamps-irregular": _warning("Frames are not evenly spaced in time.", "Record with a timer."),
    # Statistics.
    "statistics-differ": _warning(
        "meta/stats.json is not of these numbers: they are normalized wrongly.",
        "Compute it again: `lerobot-edit-dataset --operation.type recompute_stats`.",
    ),
}
"""Every code: the word that names a kind of finding."""


class DataFinding(NamedTuple):
    """Something that is wrong with a dataset."""

    code: str
    severity: Severity
    text: str
    """A sentence without a full stop that names episode and value."""
    episodes: tuple[int, ...] = ()
    """All of them; none if it is about the dataset as a whole."""
    feature: str = ""
    number: float | None = None
    """The worst value."""
    unit: str = ""
    spans: tuple[Span, ...] = ()

    @property
    def kind(self) -> FindingKind:
        """What its code means."""
        return KINDS[self.code]

    def dump(self) -> dict[str, Any]:
        """Return it as data for JSON; the keys are an API."""
        return {**self._asdict(), "episodes": [*self.episodes], "spans": [list(span) for span in self.spans]}


def make_data_finding(
    code: str,
    text: str,
    episodes: Iterable[int] = (),
    *,
    feature: str = "",
    number: float | None = None,
    unit: str = "",
    spans: Iterable[Sequence[int]] = (),
) -> DataFinding:
    """Return a finding with the severity of its code, and with numbers of Python in place of those of numpy."""
    where = tuple((int(episode), int(begin), int(end)) for episode, begin, end in spans)
    return DataFinding(
        code,
        KINDS[code].severity,
        text,
        tuple(sorted({int(one) for one in episodes})),
        feature,
        None if number is None else float(number),
        unit,
        where,
    )


def make_span_finding(
    code: str, text: str, spans: Sequence[Span], number: float | None, unit: str = "", feature: str = ""
) -> DataFinding:
    """Return a finding about parts of episodes."""
    return make_data_finding(
        code, text, [span[0] for span in spans], feature=feature, number=number, unit=unit, spans=spans
    )


def load_data_finding(content: Mapping[str, Any]) -> DataFinding:
    """Return the finding of what `dump` returned. Raise KeyError, TypeError or ValueError for anything else."""
    values = {**content, "episodes": tuple(content["episodes"]), "spans": tuple(map(tuple, content["spans"]))}
    finding = DataFinding(**values)
    if finding.code not in KINDS:
        raise ValueError(f"no code of findings: {finding.code}")
    return finding
