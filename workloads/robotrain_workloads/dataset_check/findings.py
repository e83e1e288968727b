"""Findings about a dataset: what is wrong with it, in which episodes, by how much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from robotrain_workloads.lerobot.episode_numbers import format_ranges

Severity = Literal["error", "warning"]
Span = tuple[int, int, int]
"""Where it is: episode, first frame, last frame + 1."""


REMEDIES: Mapping[str, str] = {
    "description-invalid": "Correct it: the sentence says what.",
    "file-unreadable": "Copy or download the dataset again.",
    "file-missing": "Copy or download the dataset again.",
    "file-is-pointer": "Run `git lfs pull` in the dataset.",
    "counts-disagree": "Correct meta/info.json.",
    "episodes-disagree": "Record or convert it again.",
    "frames-disagree": "Record or convert it again.",
    "column-missing": "Correct meta/info.json, or add the column.",
    "shape-differs": "Correct the shape in meta/info.json.",
    "value-not-finite": "Leave out the episode.",
    "number-not-finite": "Leave out the episode, for a policy that reads the column.",
    "timestamp-off": "Correct the timestamps, or fps.",
    "task-missing": "Correct meta/tasks.parquet.",
    "picture-size": "Leave out the episode; if all have it, correct meta/info.json.",
    "picture-unreadable": "Leave out the episode.",
    "video-unreadable": "Copy or download the dataset again.",
    "video-short": "Leave out the episode.",
    "video-shifted": "Correct the timestamps of the videos in meta/episodes.",
    "video-rate": "Encode the video with the frames per second of the dataset.",
    "video-uneven": "Encode it with even times: until then PyAV decodes it, which is slower.",
    "camera-black": "Leave out the episodes.",
    "camera-constant": "Leave out the episodes.",
    "camera-frozen": "Leave out the episodes.",
    "camera-flipped": "Turn the pictures, or leave out the episodes.",
    "colors-exchanged": "Exchange the colors, or leave out the episodes.",
    "cameras-equal": "Correct the recording; in some episodes: leave them out.",
    "episode-repeated": "Leave out the copies.",
    "episode-in-validation": "Leave out the copies.",
    "validation-empty": "Record more episodes, or set `--val-split 0`.",
    "episode-short": "Leave it out.",
    "idle-start": "Some seconds are usual. Cut long ones: a policy learns to wait.",
    "idle-end": "Cut the end: a policy learns to stop early.",
    "task-empty": "Write the text: language policies read it.",
    "action-constant": "Leave out the episode.",
    "dimension-stuck": "Leave out the episode.",
    "dimension-constant": "Leave the dimension out where the robot does not need it.",
    "dimension-tiny": "Leave the dimension out, or set its statistics.",
    "calibration-offset": "Calibrate leader and follower, and record again.",
    "units-differ": "Convert the numbers, or leave out the episodes.",
    "sign-differs": "Leave out the episodes.",
    "joints-swapped": "Leave out the episodes.",
    "action-unrelated": "Leave out the episodes.",
    "action-shifted": "Leave out the episodes, or shift their actions.",
    "action-is-state": "Record the commands of the robot, or the next state as action.",
    "action-jump": "Look at the episode: `robotrain data view DATASET EPISODE`.",
    "frames-dropped": "Leave out the episode.",
    "frames-repeated": "Leave out the episode.",
    "fps-differs": "Correct fps.",
    "timestamps-irregular": "Record with a timer.",
    "quantiles-differ": "Train with `--statistics computed`.",
    "statistics-differ": "Train with `--statistics computed`; for cameras:"
    " `lerobot-edit-dataset --operation.type recompute_stats`.",
}
"""What to do, in sentences, by code: the word that names a kind of finding."""
ERRORS = {
    "description-invalid",
    "file-unreadable",
    "file-missing",
    "file-is-pointer",
    "counts-disagree",
    "episodes-disagree",
    "frames-disagree",
    "column-missing",
    "shape-differs",
    "value-not-finite",
    "timestamp-off",
    "task-missing",
    "picture-size",
    "picture-unreadable",
    "video-unreadable",
    "video-short",
    "video-shifted",
    "video-rate",
    "quantiles-differ",
}
"""The codes of what no policy can be trained with; others are warnings."""
UNCURED = {
    "description-invalid",
    "file-unreadable",
    "counts-disagree",
    "episodes-disagree",
    "frames-disagree",
    "column-missing",
    "shape-differs",
    "video-uneven",
    "validation-empty",
    "idle-start",
    "idle-end",
    "task-empty",
    "dimension-constant",
    "dimension-tiny",
    "calibration-offset",
    "action-is-state",
    "fps-differs",
    "timestamps-irregular",
    "quantiles-differ",
    "statistics-differ",
}
"""The codes of what leaving out the episodes that a finding names does not cure."""


BRIGHTNESS_UNIT = "of 1"
"""Of a finding about the statistics of a camera, which are not computed from numbers."""


class Finding(NamedTuple):
    """Something that is wrong with a dataset.

    It is no `Problem`: it is measured, not told. It says in which episodes and frames and by how much, its code alone
    decides how bad it is and what cures it, and a page or a report counts and draws it.
    """

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
    suggestion: str = ""
    """What to type, if that helps; not in JSON, where `ways` has those of all findings."""

    def __str__(self) -> str:
        episodes = f" (episodes {format_ranges(self.episodes, ', ')})" if len(self.episodes) > 1 else ""
        return f"{self.text}{episodes}" + (f" ({self.suggestion})" if self.suggestion else "")

    def dump(self) -> dict[str, Any]:
        """Return it as data for JSON; the keys are an API."""
        finding_fields = {**self._asdict(), "episodes": [*self.episodes], "spans": [list(span) for span in self.spans]}
        del finding_fields["suggestion"]
        return finding_fields


Findings = Iterator[Finding]
CONVERTED = ("file-", "video-")
"""What the conversion of v2.1 fails on, also where the episode is left out."""


def list_cured(findings: Iterable[Finding], facts: Mapping[str, Any]) -> list[int]:
    """Return the episodes whose exclusion cures findings; what most episodes have is not cured so.

    :param facts: what the answer to the question `tables` holds.
    """
    uncured_codes = CONVERTED if facts.get("converts") else ()
    half_of_episodes = facts.get("episodes", 0) / 2
    curable = (
        finding for finding in findings if finding.code not in UNCURED and not finding.code.startswith(uncured_codes)
    )
    return sorted(
        {number for finding in curable if len(finding.episodes) <= half_of_episodes for number in finding.episodes}
    )


def leave_out_errors(findings: Iterable[Finding], facts: Mapping[str, Any]) -> list[int] | None:
    """Return the episodes without which no error is left; None if there are no such."""
    errors = [finding for finding in findings if finding.severity == "error"]
    return list_cured(errors, facts) if all(list_cured([error], facts) for error in errors) else None


def make_finding(
    code: str,
    text: str,
    episodes: Iterable[int] = (),
    *,
    feature: str = "",
    number: float | None = None,
    unit: str = "",
    spans: Iterable[Sequence[int]] = (),
    suggestion: str = "",
) -> Finding:
    """Return a finding with the severity of its code, and with numbers of Python in place of those of numpy."""
    integer_spans = tuple((int(episode), int(start_frame), int(end_frame)) for episode, start_frame, end_frame in spans)
    return Finding(
        code,
        "error" if code in ERRORS else "warning",
        text,
        tuple(sorted({int(episode) for episode in episodes})),
        feature,
        None if number is None else float(number),
        unit,
        integer_spans,
        suggestion,
    )


def make_span_finding(
    code: str, text: str, spans: Sequence[Span], number: float | None, unit: str = "", feature: str = ""
) -> Finding:
    """Return a finding about parts of episodes."""
    return make_finding(code, text, [span[0] for span in spans], feature=feature, number=number, unit=unit, spans=spans)


def load_finding(finding_fields: Mapping[str, Any]) -> Finding:
    """Return the finding of what `dump` returned. Raise KeyError, TypeError or ValueError for anything else."""
    typed_fields = {
        **finding_fields,
        "episodes": tuple(finding_fields["episodes"]),
        "spans": tuple(map(tuple, finding_fields["spans"])),
    }
    finding = Finding(**typed_fields)
    if finding.code not in REMEDIES:
        raise ValueError(f"no code of findings: {finding.code}")
    return finding
