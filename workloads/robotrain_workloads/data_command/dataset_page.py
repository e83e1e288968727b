"""The page of a dataset: its episodes with their scores and findings, and one episode whole."""

import shlex
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robotrain.model.amounts import format_duration
from robotrain.report.charts import LARGE, MAX_LINES, SMALL, Chart, Points, Span, make_chart, split_panels
from robotrain.report.template import redact_text, render_template, split_constant

from robotrain_workloads.dataset_check.findings import ERRORS, REMEDIES, Finding
from robotrain_workloads.lerobot.episode_numbers import EXCLUDE_FLAG, format_ranges

ACTION, STATE = "action", "observation.state"
TITLES = {ACTION: "Actions", STATE: "States"}
WHOLE, MOST_RANGES = 0.98, 12
"""A finding about more of an episode than this is not marked in its charts."""


class FeatureCharts(NamedTuple):
    """Charts of one feature, or of the actions and the states of each dimension."""

    title: str
    keys: Sequence[str]
    """What has which color, where a chart has several lines."""
    charts: Sequence[tuple[str, Chart]]
    """Each with its caption; a large one has none."""
    constant: Mapping[str, float]
    omitted: int = 0
    """How many values are not finite."""


class Mark(NamedTuple):
    """A finding in the episode that is shown whole: where it is, in percent of the episode and in words."""

    finding: Finding
    begin: int
    end: int
    start: float
    width: float
    text: str


def render_dataset_page(
    view: Mapping[str, Any],
    findings: Sequence[Finding],
    writing_time: float,
    *,
    label: str,
    dataset: str,
    viewer: str = "",
    folder: Path | None = None,
    excluded: Sequence[int] = (),
    is_about_episode: bool = False,
) -> str:
    """Return the page; equal facts give equal pages.

    :param view: what `collect_view` returned.
    :param label: a short name of the dataset.
    :param dataset: the dataset as it was typed.
    :param viewer: the command line of LeRobot that shows more.
    :param folder: where the dataset is on this machine.
    :param excluded: the episodes that are better left out.
    :param is_about_episode: whether the episode comes first, as it was asked for.
    """
    shown_episode = view["shown"]
    title = f"episode {shown_episode['episode']} of {label}" if is_about_episode else label
    return render_template(
        "dataset.html",
        title,
        writing_time,
        package=__package__,
        label=label,
        dataset=dataset,
        view=view,
        tile_items=_list_tiles(view),
        findings=findings,
        exclusion=f"{EXCLUDE_FLAG} {format_ranges(excluded)}" if excluded else "",
        rows=[*map(_make_row, view["scores"])],
        has_findings=any(score["codes"] for score in view["scores"]),
        has_scores=any(score["motion"] for score in view["scores"]),
        spark_end=statistics.median([max(score["motion"]) for score in view["scores"] if score["motion"]] or [1.0]),
        shown=shown_episode,
        **(_describe_shown(view, shown_episode, findings, folder) if shown_episode else {}),
        viewer=viewer,
        command=f"robotrain data view {shlex.quote(dataset)}",
        is_about_episode=is_about_episode,
        list_episodes=_list_episodes,
        severities={code: "error" if code in ERRORS else "warning" for code in REMEDIES},
        remedies=REMEDIES,
    )


def _list_episodes(episodes: Sequence[int]) -> str:
    """Return numbers as `3, 7-9`; of many, the first ones."""
    ranges = format_ranges(episodes).split(",")
    return ", ".join(ranges[:MOST_RANGES]) + (" and more" if len(ranges) > MOST_RANGES else "")


def _list_tiles(view: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    kinds = {camera["kind"] for camera in view["cameras"]}
    return [
        ("episodes", f"{view['episodes']:,}", ""),
        ("frames", f"{view['frames']:,}", f"{view['fps']:g} per second"),
        ("time", _format_seconds(view["frames"] / view["fps"]), ""),
        ("cameras", str(len(view["cameras"])), ", ".join(sorted(kinds))),
        ("tasks", f"{view['task_count']:,}" if view["task_count"] > 1 else "", ""),
    ]


def _format_seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else format_duration(seconds)


def _make_row(score: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **score,
        "task": redact_text(score["task"]),
        "idle": "" if score["idle"] is None else f"{score['idle']:.1f}",
        "jump": "" if score["jump"] is None else f"{score['jump']:.0f}",
        "motion": [*enumerate(score["motion"])],
    }


def _describe_shown(
    view: Mapping[str, Any], shown_episode: Mapping[str, Any], findings: Sequence[Finding], folder: Path | None
) -> dict[str, Any]:
    """Return the values of the template about the episode that is shown whole."""
    marks = [*_list_marks(findings, shown_episode["episode"], shown_episode["frames"], view["fps"])]
    panels, other_panels = _list_panels(shown_episode["curves"], _Drawing(view["fps"], shown_episode["frames"], marks))
    return {
        "marks": marks,
        "task": redact_text(shown_episode["task"]),
        "seconds": _format_seconds(shown_episode["frames"] / view["fps"]),
        "whole": [
            finding for finding in findings if shown_episode["episode"] in finding.episodes and not finding.spans
        ],
        "cameras": [
            _describe_strip(strip, camera, marks, view["fps"], folder)
            for strip, camera in zip(shown_episode["strips"], view["cameras"], strict=True)
        ],
        "panels": panels,
        "other_panels": other_panels,
    }


def _list_marks(findings: Sequence[Finding], number: int, frames: int, fps: float) -> Iterator[Mark]:
    for finding in findings:
        for episode, start_frame, end_frame in finding.spans:
            if episode == number:
                last_frame = max(start_frame, end_frame - 1)
                frames_text = (
                    f"frames {start_frame} to {last_frame}" if last_frame > start_frame else f"frame {start_frame}"
                )
                time_text = (
                    f"{start_frame / fps:.1f} to {last_frame / fps:.1f} s"
                    if last_frame > start_frame
                    else f"{start_frame / fps:.1f} s"
                )
                percent_per_frame = 100 / max(frames, 1)
                start = min(100.0, start_frame * percent_per_frame)
                width = min(100.0 - start, (end_frame - start_frame) * percent_per_frame)
                yield Mark(finding, start_frame, end_frame, start, width, f"{finding.code}: {frames_text}, {time_text}")


def _describe_strip(
    strip: Mapping[str, Any], camera: Mapping[str, Any], marks: Sequence[Mark], fps: float, folder: Path | None
) -> dict[str, Any]:
    feature_marks = [mark for mark in marks if mark.finding.feature == strip["name"]]
    video_part = strip["part"]
    file = folder / video_part["path"] if folder and video_part and strip["remark"] else None
    link = (
        f"{file.resolve().as_uri()}#t={video_part['start']:.3f},{video_part['end']:.3f}"
        if file and file.is_file()
        else ""
    )
    size = f"{camera['width']} × {camera['height']}" if camera["width"] and camera["height"] else ""

    return {
        **strip,
        "facts": ", ".join(filter(None, (size, camera["kind"]))),
        "marks": feature_marks,
        "link": link,
        "start": f"#t={strip['clip_start']:.3f}" if strip["clip_start"] > 0.5 / fps else "",
        "pictures": [
            (
                frame,
                f"{frame / fps:.1f} s",
                picture_text,
                [mark.finding.code for mark in feature_marks if mark.begin <= frame < mark.end],
            )
            for frame, picture_text in strip["pictures"]
        ],
    }


class _Drawing(NamedTuple):
    """How the curves of an episode are drawn."""

    fps: float
    frames: int
    marks: Sequence[Mark]

    def draw(self, lines: Mapping[str, Points], features: Sequence[str], height: int) -> Chart:
        spans: list[Span] = [
            ((mark.begin - 0.5) / self.fps, (mark.end - 0.5) / self.fps, mark.text)
            for mark in self.marks
            if mark.finding.feature in ("", *features) and mark.width < 100 * WHOLE
        ]
        return make_chart(
            lines,
            "second",
            height,
            other_series=[[(0.0, 0.0), (max(self.frames - 1, 0) / self.fps, 0.0)]],
            spans=spans,
            format_at=self.format_at,
        )

    def format_at(self, seconds: float) -> str:
        return f"{seconds:.2f} s, frame {round(seconds * self.fps)}"

    def make_pairs(self, actions: Mapping[str, Points], states: Mapping[str, Points]) -> FeatureCharts:
        """Return the charts of actions and states of the same joints, those of each on common axes."""
        pairs_by_joint = {name: {"action": actions[name], "state": states[name]} for name in actions}
        moving_joints = {name: pair for name, pair in pairs_by_joint.items() if any(split_constant(pair)[0])}
        charts = [(name, self.draw(pair, (ACTION, STATE), SMALL)) for name, pair in moving_joints.items()]
        still_values = {
            name: pair["action"][-1][1]
            for name, pair in pairs_by_joint.items()
            if name not in moving_joints and pair["action"]
        }
        return FeatureCharts("Actions and states", ["action", "state"], charts, still_values)

    def make_panel(self, feature: str, lines: Mapping[str, Points]) -> FeatureCharts:
        """Return the chart of a feature, or one a dimension where some would be flat beside others."""
        moving_lines, still_values = split_constant(lines)
        if 0 < len(moving_lines) <= MAX_LINES and len(split_panels(moving_lines)) == 1:
            return FeatureCharts(
                TITLES.get(feature, feature),
                [*moving_lines],
                [("", self.draw(moving_lines, (feature,), LARGE))],
                still_values,
            )
        charts = [(name, self.draw({name: points}, (feature,), SMALL)) for name, points in moving_lines.items()]
        return FeatureCharts(TITLES.get(feature, feature), [], charts, still_values)


def _list_panels(
    curves: Mapping[str, Sequence[Mapping[str, Any]]], drawing: _Drawing
) -> tuple[list[FeatureCharts], list[FeatureCharts]]:
    """Return the charts of actions and states, and of all other numbers."""
    series = {name: _read_series(name, dimensions, drawing.fps) for name, dimensions in curves.items()}
    omitted_counts = {
        name: sum(dimension["omitted"] for dimension in dimensions) for name, dimensions in curves.items()
    }
    main = {name: lines for name, lines in series.items() if name in TITLES}
    if len(main) == len(TITLES) and [*main[ACTION]] == [*main[STATE]]:
        panels = [
            drawing.make_pairs(main[ACTION], main[STATE])._replace(
                omitted=omitted_counts[ACTION] + omitted_counts[STATE]
            )
        ]
    else:
        panels = [
            drawing.make_panel(name, lines)._replace(omitted=omitted_counts[name]) for name, lines in main.items()
        ]
    others = [
        drawing.make_panel(name, lines)._replace(omitted=omitted_counts[name])
        for name, lines in series.items()
        if name not in TITLES
    ]
    return panels, others


def _read_series(feature: str, dimensions: Sequence[Mapping[str, Any]], fps: float) -> dict[str, Points]:
    """Return the curve of each dimension in seconds; a name that is not the only one of its kind gets its number."""
    dimension_names = [dimension["name"] or feature for dimension in dimensions]
    return {
        dimension_name if dimension_names.count(dimension_name) == 1 else f"{dimension_name} ({index})": [
            (frame / fps, value) for frame, value in dimension["points"]
        ]
        for index, (dimension_name, dimension) in enumerate(zip(dimension_names, dimensions, strict=True))
    }
