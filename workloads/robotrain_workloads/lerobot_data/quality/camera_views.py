"""What a camera sees, compared with the other episodes and cameras: exchanged colors, flipped or doubled pictures.

A picture of an episode, the mean of all its pictures, is compared with the usual one of its camera, the median of all
episodes. An episode is named only if its picture is unlike the usual one, and much more like it once it is turned, or
red and blue are exchanged. A camera that moves, or a scene that changes, has no usual picture.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from robotrain_workloads.lerobot_data.quality.pictures import SampledPictures
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.recording import Array

FEWEST_EPISODES = 5
"""Of a camera, so that there is a usual picture."""
LARGEST_PART = 0.4
"""Of the episodes: more of them are no exception."""
UNLIKE, LEAST_GRAY, LEAST_COLOR = 3.0, 6.0, 6.0
"""How far a picture is from the usual one: times as far as those of half of the episodes are, and of 255."""
LIKE = 0.5
"""How much closer it is after the change that is looked for."""
FLIPS: Mapping[str, Callable[[Array], Array]] = {
    "mirrored": lambda pictures: pictures[:, :, ::-1],
    "upside down": lambda pictures: pictures[:, ::-1, :],
    "turned by 180 degrees": lambda pictures: pictures[:, ::-1, ::-1],
}
SAME, SAME_MEAN = 14, 1.0
"""How much the same picture differs in two videos, at most and on average, of 255."""
CHANGING = 8
"""How much pictures of an episode differ from each other, if it is to be said that two cameras show the same."""


class CameraViews:
    """The views of all cameras in the episodes that are looked at."""

    def __init__(self) -> None:
        self._grays: dict[str, dict[int, Array]] = defaultdict(dict)
        self._colors: dict[str, dict[int, Array]] = defaultdict(dict)

    def add(self, seen: SampledPictures) -> None:
        """Note the view of a camera in an episode."""
        self._grays[seen.camera][seen.episode] = seen.pictures.mean(axis=0, dtype=np.float32)
        self._colors[seen.camera][seen.episode] = seen.colors.astype(np.float32)

    def list_findings(self, compared: Mapping[str, Mapping[int, Array]]) -> Iterator[DataFinding]:
        """Yield what was found; `compared` holds some pictures of each episode of a camera, of equal frames."""
        for camera, episodes in self._grays.items():
            yield from _find_flipped(camera, episodes)
        for camera, episodes in self._colors.items():
            yield from _find_exchanged_colors(camera, episodes)
        yield from _find_doubled(compared)


def _find_flipped(camera: str, views: Mapping[int, Array]) -> Iterator[DataFinding]:
    pictures = np.stack([*views.values()])
    flips_by_episode: dict[int, str] = {}
    for name, flip in FLIPS.items():
        for index in _find_exceptions(pictures, flip(pictures), LEAST_GRAY):
            flips_by_episode.setdefault([*views][index], name)
    if flips_by_episode and len(flips_by_episode) <= LARGEST_PART * len(views):
        episode, name = next(iter(flips_by_episode.items()))
        finding_text = (
            f"{camera} is {name} in episode {episode}{_format_more(flips_by_episode)}, as the other episodes show"
        )
        yield make_data_finding("camera-flipped", finding_text, sorted(flips_by_episode), feature=camera)


def _find_exchanged_colors(camera: str, views: Mapping[int, Array]) -> Iterator[DataFinding]:
    colors = np.stack([*views.values()])
    exchanged_episodes = [[*views][index] for index in _find_exceptions(colors, colors[..., ::-1], LEAST_COLOR)]
    if exchanged_episodes and len(exchanged_episodes) <= LARGEST_PART * len(views):
        more_text = _format_more(exchanged_episodes)
        finding_text = (
            f"red and blue of {camera} are exchanged in episode {exchanged_episodes[0]}{more_text}, as "
            "the other episodes show"
        )
        yield make_data_finding("colors-exchanged", finding_text, exchanged_episodes, feature=camera)


def _find_exceptions(views: Array, changed_views: Array, least_distance: float) -> Sequence[int]:
    """Return the views that are unlike the usual one, but for a change.

    :param views: episodes by whatever a view has.
    :param changed_views: the same after the change.
    :param least_distance: how far from the usual one they are, of 255.
    """
    if len(views) < FEWEST_EPISODES:
        return []
    picture_axes = tuple(range(1, views.ndim))
    usual_view = np.median(views, axis=0)
    light = usual_view.mean() / np.maximum(views.mean(axis=picture_axes, keepdims=True), 1)  # of another hour
    distances = np.abs(views * light - usual_view).mean(axis=picture_axes)
    changed_distances = np.abs(changed_views * light - usual_view).mean(axis=picture_axes)
    is_unlike = (distances > UNLIKE * np.median(distances)) & (distances > least_distance)
    exceptions: list[int] = np.flatnonzero(is_unlike & (changed_distances < LIKE * distances)).tolist()
    return exceptions


def _find_doubled(pictures_by_camera: Mapping[str, Mapping[int, Array]]) -> Iterator[DataFinding]:
    """Yield the pairs of cameras that show the same, in all episodes or in some."""
    cameras = [*pictures_by_camera]
    for index, camera in enumerate(cameras):
        for other_camera in cameras[:index]:
            common = [episode for episode in pictures_by_camera[camera] if episode in pictures_by_camera[other_camera]]
            same_episodes = [
                episode
                for episode in common
                if _show_same(pictures_by_camera[camera][episode], pictures_by_camera[other_camera][episode])
            ]
            if same_episodes:
                episodes_text = (
                    "all episodes"
                    if len(same_episodes) == len(common)
                    else f"episode {same_episodes[0]}{_format_more(same_episodes)}"
                )
                finding_text = f"{camera} shows the same pictures as {other_camera} in {episodes_text}"
                episodes = [] if len(same_episodes) == len(common) else same_episodes
                yield make_data_finding("cameras-equal", finding_text, episodes, feature=camera)


def is_same(pictures: Array, others: Array) -> bool:
    """Return whether pictures, as signed numbers, are the same but for their encoding."""
    difference = np.abs(pictures - others)
    return bool(difference.max() <= SAME and difference.mean() <= SAME_MEAN)


def _show_same(pictures: Array, other_pictures: Array) -> bool:
    """Return whether two cameras show the same, which changes."""
    signed_pictures = pictures.astype(np.int16)
    return is_same(signed_pictures, other_pictures) and bool(np.ptp(signed_pictures, axis=0).max() > CHANGING)


def _format_more(episodes: Mapping[int, str] | Sequence[int]) -> str:
    return f" and {len(episodes) - 1} more" if len(episodes) > 1 else ""
