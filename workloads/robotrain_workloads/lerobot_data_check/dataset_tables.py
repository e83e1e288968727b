"""Tables of a LeRobot dataset that must agree: description, episodes, frames, tasks, pictures and videos.

LeRobot compares none of them: it fails in the middle of a training, or trains on other frames than are meant.
Needs numpy and pyarrow, and for pictures and videos Pillow and PyAV: the environment of LeRobot has them.
"""

from collections.abc import Collection, Iterator

from robotrain_workloads.lerobot import dataset, file_formats
from robotrain_workloads.lerobot_data_check.camera_files import Videos, find_picture_problems
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.episode_tables import find_episode_problems, read_episodes
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.frame_tables import FrameTables
from robotrain_workloads.lerobot_data_check.quantile_check import find_quantile_problems
from robotrain_workloads.lerobot_data_check.table_files import UnreadableTable, read_small


def find_table_problems(
    files: DatasetFiles,
    tolerance: float | None = None,
    chosen_episodes: Collection[int] | None = None,
    *,
    allow_non_finite: bool = False,
    reads: Collection[str] = (),
    quantiles: Collection[str] = (),
) -> Iterator[DataFinding]:
    """Yield each kind of disagreement once. Raise UnreadableTable, OSError.

    :param files: a dataset with a valid description, of LeRobot v3.0, or of v2.1 before it is converted.
    :param tolerance: how far a timestamp may be from its place in a dataset with videos, in seconds; None: by default.
    :param chosen_episodes: the episodes that are read; None for all.
    :param allow_non_finite: whether values may be NaN or infinite.
    :param reads: features whose numbers are read, beside those that every policy reads.
    :param quantiles: the features that are normalized by stored quantiles.
    """
    path = str(dataset.INFO_FILE)
    info = file_formats.parse_json_object(read_small(files, path), path)
    episodes = read_episodes(files, info)
    disagreements = list(find_episode_problems(info, episodes))
    yield from disagreements
    in_order = not disagreements  # else each frame would seem to be wrong
    margin = dataset.get_frame_tolerance(info) or 0.0
    late_tolerance = (
        tolerance or margin if dataset.has_video(info) else None
    )  # LeRobot looks up only their frames by time
    frames = FrameTables(files, info, episodes, chosen_episodes, late_tolerance, in_order=in_order, reads=reads)
    try:
        frames.compare(allow_non_finite=allow_non_finite)
    except UnreadableTable as error:
        yield error.problem
    else:
        yield from find_picture_problems(files, frames.features, chosen_episodes)
        recorded_features = [name for name in quantiles if name in frames.features]
        if recorded_features and not dataset.is_convertible(info) and not any(frames.list_problems()):
            yield from find_quantile_problems(files, recorded_features, chosen_episodes)
    yield from frames.list_problems()
    for name, feature in frames.features.items():
        if feature.get("dtype") == "video":
            yield from Videos(files, info, episodes, name, chosen_episodes).find_problems(margin)


def list_table_problems(
    files: DatasetFiles,
    tolerance: float | None = None,
    chosen_episodes: Collection[int] | None = None,
    *,
    allow_non_finite: bool = False,
    **read: Collection[str],
) -> list[DataFinding]:
    """Return what find_table_problems finds, with its options, and a file that cannot be read.

    Raise what numpy and pyarrow raise for a table of a form that is not known here.
    """
    problems: list[DataFinding] = []
    table_problems = find_table_problems(files, tolerance, chosen_episodes, allow_non_finite=allow_non_finite, **read)
    try:
        problems.extend(table_problems)
    except UnreadableTable as error:
        problems.append(error.problem)
    except OSError as error:
        problems.append(make_data_finding("file-unreadable", f"the tables of {files.name} cannot be read: {error}"))
    return problems
