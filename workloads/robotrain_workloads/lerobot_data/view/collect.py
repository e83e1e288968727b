"""What the page of a dataset shows: the dataset, its episodes with their scores, and one episode whole.

The question `view`, which a child process answers with numpy, pyarrow, PyAV and Pillow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data.quality import quality_check
from robotrain_workloads.lerobot_data.tables import table_check
from robotrain_workloads.lerobot_data.view import episode_scores
from robotrain_workloads.lerobot_data.view.episode_rows import read_curves
from robotrain_workloads.lerobot_data.view.pictures import LARGEST_CLIPS, make_strip
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.findings import DataFinding, leave_out_errors
from robotrain_workloads.lerobot_data_check.recording import RecordedDataset

MOST_TASKS = 20

Progress = Callable[[int, int], None]
"""Takes how much is done, and of how much."""


def answer_question(
    files: DatasetFiles, options: Mapping[str, Any], progress: Progress
) -> Iterator[DataFinding | Mapping[str, Any]]:
    """Yield what is wrong with a dataset, and what its page shows: `view`, or None if it cannot be read.

    The results of the questions `tables` and `quality` are beside it, by question. Options: theirs, and the `episode`
    that is shown whole; by default the worst.
    """
    findings: list[DataFinding] = []
    results_by_question = dict[str, dict[str, Any]]()
    for question, module in (("tables", table_check), ("quality", quality_check)):
        left_out_episodes = leave_out_errors(findings, results_by_question.get("tables", {}))
        if left_out_episodes is None:
            break
        results_by_question[question] = {}
        for finding_or_result in module.answer_question(files, {**options, "left_out": left_out_episodes}, progress):
            if isinstance(finding_or_result, DataFinding):
                findings.append(finding_or_result)
                yield finding_or_result
            else:
                results_by_question[question] |= finding_or_result
    yield results_by_question
    reads_numbers = "quality" in results_by_question
    try:
        view = collect_view(files, findings, options.get("episode"), reads_numbers=reads_numbers)
    except Exception:
        if not _have_errors(findings):  # they say why
            raise
        view = None
    yield {"view": view if view and view["episodes"] else None}


def _have_errors(findings: Sequence[DataFinding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def collect_view(
    files: DatasetFiles, findings: Sequence[DataFinding], episode: int | None = None, *, reads_numbers: bool = True
) -> dict[str, Any]:
    """Return what the page shows, as data for JSON.

    :param episode: the one that is shown whole, if there is such a one; by default the worst.
    :param reads_numbers: whether the numbers of all episodes are read, for their scores.
    """
    recording = RecordedDataset(files)
    scores = [*episode_scores.list_scores(recording, findings, reads_numbers=reads_numbers)]
    episode_scores_by_number = {score.episode: score for score in scores}
    shown_score = (
        next(iter(episode_scores.find_worst(scores)), None)
        if episode is None
        else episode_scores_by_number.get(episode)
    )
    tasks = Counter(score.task for score in scores)
    return {
        "name": files.name,
        "version": str(recording.info.get("codebase_version", "")),
        "robot": str(recording.info.get("robot_type") or ""),
        "fps": recording.fps,
        "episodes": len(scores),
        "frames": sum(score.frames for score in scores),
        "last": max(episode_scores_by_number, default=-1),
        "cameras": [_describe_camera(name, recording.features[name]) for name in dataset.list_cameras(recording.info)],
        "tasks": tasks.most_common(MOST_TASKS),
        "task_count": len(tasks),
        "scores": [score._asdict() for score in episode_scores.select_listed(scores)],
        "shown": None if shown_score is None else _describe_episode(recording, shown_score),
    }


def _describe_camera(name: str, feature: Any) -> dict[str, Any]:
    dimension_names = feature.get("names") or ()
    shape = feature.get("shape") or ()
    sizes = dict(zip(dimension_names, shape, strict=False)) if isinstance(dimension_names, list) else {}
    kind = "depth" if dataset.is_depth(feature) else str(feature["dtype"])
    return {"name": name, "kind": kind, "width": sizes.get("width"), "height": sizes.get("height")}


def _describe_episode(recording: RecordedDataset, shown: episode_scores.EpisodeScores) -> dict[str, Any]:
    strips, remaining_bytes = [], LARGEST_CLIPS
    for camera in dataset.list_cameras(recording.info):
        strip = make_strip(recording, shown.episode, camera, shown.frames, remaining_bytes)
        remaining_bytes -= len(strip.clip) * 3 // 4
        strips.append({**asdict(strip), "part": strip.part and strip.part._asdict()})
    curves, problem = {}, ""
    try:
        curves = read_curves(recording, shown.episode)
    except (OSError, ValueError, KeyError) as error:
        problem = f"the numbers of the episode cannot be read: {error}"
    return {
        **shown._asdict(),
        "strips": strips,
        "curves": {name: [dimension._asdict() for dimension in dimensions] for name, dimensions in curves.items()},
        "problem": problem,
    }
