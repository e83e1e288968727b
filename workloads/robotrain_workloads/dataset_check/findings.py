"""Findings about a dataset: what is wrong with it, in which episodes, by how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from robotrain_workloads.lerobot.episode_numbers import format_ranges

Severity = Literal["error", "warning"]
Span = tuple[int, int, int]
"""Where it is: episode, first frame, last frame + 1."""


class FindingKind(NamedTuple):
    """What all findings of a code have in common."""

    severity: Severity
    """An error is what no policy can be trained with."""
    remedy: str
    """What to do, in sentences."""
    is_cured_by_exclusion: bool = False
    """Whether leaving out its episodes, where it names some, leaves nothing of it."""


KINDS: Mapping[str, FindingKind] = {
    "description-invalid": FindingKind("error", "Correct it: the sentence says what."),
    "file-unreadable": FindingKind("error", "Copy or download the dataset again."),
    "file-missing": FindingKind("error", "Copy or download the dataset again.", is_cured_by_exclusion=True),
    "file-is-pointer": FindingKind("error", "Run `git lfs pull` in the dataset.", is_cured_by_exclusion=True),
    "counts-disagree": FindingKind("error", "Correct meta/info.json."),
    "episodes-disagree": FindingKind("error", "Record or convert it again."),
    "frames-disagree": FindingKind("error", "Record or convert it again."),
    "column-missing": FindingKind("error", "Correct meta/info.json, or add the column."),
    "shape-differs": FindingKind("error", "Correct the shape in meta/info.json."),
    "value-not-finite": FindingKind("error", "Leave out the episode.", is_cured_by_exclusion=True),
    "number-not-finite": FindingKind(
        "warning", "Leave out the episode, for a policy that reads the column.", is_cured_by_exclusion=True
    ),
    "timestamp-off": FindingKind("error", "Correct the timestamps, or fps.", is_cured_by_exclusion=True),
    "task-missing": FindingKind("error", "Correct meta/tasks.parquet.", is_cured_by_exclusion=True),
    "picture-size": FindingKind(
        "error", "Leave out the episode; if all have it, correct meta/info.json.", is_cured_by_exclusion=True
    ),
    "picture-unreadable": FindingKind("error", "Leave out the episode.", is_cured_by_exclusion=True),
    "video-unreadable": FindingKind("error", "Copy or download the dataset again.", is_cured_by_exclusion=True),
    "video-short": FindingKind("error", "Leave out the episode.", is_cured_by_exclusion=True),
    "video-shifted": FindingKind(
        "error", "Correct the timestamps of the videos in meta/episodes.", is_cured_by_exclusion=True
    ),
    "video-rate": FindingKind(
        "error", "Encode the video with the frames per second of the dataset.", is_cured_by_exclusion=True
    ),
    "video-uneven": FindingKind("warning", "Encode it with even times: until then PyAV decodes it, which is slower."),
    "camera-black": FindingKind("warning", "Leave out the episodes.", is_cured_by_exclusion=True),
    "camera-constant": FindingKind("warning", "Leave out the episodes.", is_cured_by_exclusion=True),
    "camera-frozen": FindingKind("warning", "Leave out the episodes.", is_cured_by_exclusion=True),
    "camera-flipped": FindingKind(
        "warning", "Turn the pictures, or leave out the episodes.", is_cured_by_exclusion=True
    ),
    "colors-exchanged": FindingKind(
        "warning", "Exchange the colors, or leave out the episodes.", is_cured_by_exclusion=True
    ),
    "cameras-equal": FindingKind(
        "warning", "Correct the recording; in some episodes: leave them out.", is_cured_by_exclusion=True
    ),
    "episode-repeated": FindingKind("warning", "Leave out the copies.", is_cured_by_exclusion=True),
    "episode-in-validation": FindingKind("warning", "Leave out the copies.", is_cured_by_exclusion=True),
    "validation-empty": FindingKind("warning", "Record more episodes, or set `--val-split 0`."),
    "episode-short": FindingKind("warning", "Leave it out.", is_cured_by_exclusion=True),
    "idle-start": FindingKind("warning", "Some seconds are usual. Cut long ones: a policy learns to wait."),
    "idle-end": FindingKind("warning", "Cut the end: a policy learns to stop early."),
    "task-empty": FindingKind("warning", "Write the text: language policies read it."),
    "action-constant": FindingKind("warning", "Leave out the episode.", is_cured_by_exclusion=True),
    "dimension-stuck": FindingKind("warning", "Leave out the episode.", is_cured_by_exclusion=True),
    "dimension-constant": FindingKind("warning", "Leave the dimension out where the robot does not need it."),
    "dimension-tiny": FindingKind("warning", "Leave the dimension out, or set its statistics."),
    "calibration-offset": FindingKind("warning", "Calibrate leader and follower, and record again."),
    "units-differ": FindingKind(
        "warning", "Convert the numbers, or leave out the episodes.", is_cured_by_exclusion=True
    ),
    "sign-differs": FindingKind("warning", "Leave out the episodes.", is_cured_by_exclusion=True),
    "joints-swapped": FindingKind("warning", "Leave out the episodes.", is_cured_by_exclusion=True),
    "action-unrelated": FindingKind("warning", "Leave out the episodes.", is_cured_by_exclusion=True),
    "action-shifted": FindingKind(
        "warning", "Leave out the episodes, or shift their actions.", is_cured_by_exclusion=True
    ),
    "action-is-state": FindingKind("warning", "Record the commands of the robot, or the next state as action."),
    "action-jump": FindingKind(
        "warning", "Look at the episode: `robotrain data view DATASET EPISODE`.", is_cured_by_exclusion=True
    ),
    "frames-dropped": FindingKind("warning", "Leave out the episode.", is_cured_by_exclusion=True),
    "frames-repeated": FindingKind("warning", "Leave out the episode.", is_cured_by_exclusion=True),
    "fps-differs": FindingKind("warning", "Correct fps."),
    "timestamps-irregular": FindingKind("warning", "Record with a timer."),
    "quantiles-differ": FindingKind("error", "Train with `--statistics computed`."),
    "statistics-differ": FindingKind(
        "warning",
        "Train with `--statistics computed`; for cameras: `lerobot-edit-dataset --operation.type recompute_stats`.",
    ),
}
"""Every code: the word that names a kind of finding."""


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

    @property
    def kind(self) -> FindingKind:
        """What all findings of its code have in common."""
        return KINDS[self.code]

    def dump(self) -> dict[str, Any]:
        """Return it as data for JSON; the keys are an API."""
        finding_fields = {**self._asdict(), "episodes": [*self.episodes], "spans": [list(span) for span in self.spans]}
        del finding_fields["suggestion"]
        return finding_fields


CONVERTED = ("file-", "video-")
"""What the conversion of v2.1 fails on, also where the episode is left out."""


def list_cured(findings: Iterable[Finding], facts: Mapping[str, Any]) -> list[int]:
    """Return the episodes whose exclusion cures findings; what most episodes have is not cured so.

    :param facts: what the answer to the question `tables` holds.
    """
    uncured_codes = CONVERTED if facts.get("converts") else ()
    half_of_episodes = facts.get("episodes", 0) / 2
    curable = (
        finding
        for finding in findings
        if finding.kind.is_cured_by_exclusion and not finding.code.startswith(uncured_codes)
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
        KINDS[code].severity,
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
    if finding.code not in KINDS:
        raise ValueError(f"no code of findings: {finding.code}")
    return finding
