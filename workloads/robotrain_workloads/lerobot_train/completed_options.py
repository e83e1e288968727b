"""The options of LeRobot's trainer that are known only where it runs: device, episodes, split and decoder."""

import random
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.event import Track, emit_event, emit_note

from robotrain_workloads.dataset_check import statistics_needs
from robotrain_workloads.dataset_check.dataset_options import is_streamed_by
from robotrain_workloads.dataset_check.findings import Finding
from robotrain_workloads.exit_status import end_as_preflight
from robotrain_workloads.lerobot import data_errors, dataset, device, ffmpeg_libraries, file_formats
from robotrain_workloads.lerobot.device import is_first_rank
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot.start import get_dataset_settings
from robotrain_workloads.lerobot_train.episode_options import (
    SPLIT_OPTION,
    choose_episode_order,
    disable_empty_split,
    hold_out_whole_bags,
    make_episode_options,
    note_mixture_split,
    parse_episodes,
)
from robotrain_workloads.lerobot_train.frames.frame_plan import is_kept
from robotrain_workloads.lerobot_train.request import TrainingRequest
from robotrain_workloads.lerobot_train.trainer_options import DECODER, PYAV, TOLERANCE
from robotrain_workloads.lerobot_training.process_group import NodesStop, StopHandler

TORCHCODEC = ffmpeg_libraries.TORCHCODEC
LEROBOT_TOLERANCE = 1e-4
OTHER_TIME = "FrameTimestampError"
"""What LeRobot raises for the picture of another frame."""
USE_PYAV = f"-- {DECODER}={PYAV}"
COST = "which takes two to five times as long as torchcodec"
"""Measured with pictures of 480 × 640: docs/performance.md."""
TRIED_EPISODES, TRIED_FRAMES, TRIAL_SECONDS = 4, 8, 5.0
"""Of each camera, evenly spread; of each of these, in any order; and how long all may take, in seconds."""


def get_dataset_folder(options: Sequence[str]) -> Path:
    """Return the folder of the dataset that options of LeRobot's name."""
    return Path(get_option_value(options, "--dataset.root") or "")


def complete_options(options: Sequence[str], request: TrainingRequest, stop_handler: StopHandler) -> list[str]:
    """Return LeRobot's options with those that depend on this machine and on the dataset, and tell what was chosen.

    Raise SystemExit as preflight for data that cannot be trained on.
    """
    root = get_dataset_folder(options)
    chosen_device = device.choose_device(request.device)
    if isinstance(stop_handler, NodesStop):
        stop_handler.require_same(chosen_device, device.name_hardware(chosen_device))
    options = [*options, f"--{request.trains}.device={chosen_device}"]
    options += make_episode_options(request.exclude_episodes, root, options)
    if device.is_first_rank() and not request.first:
        _check_tables(request, options, root)
    options += hold_out_whole_bags(root, options, choose_episode_order(root, options, request))
    options += disable_empty_split(root, options)
    if request.mixture:
        note_mixture_split(root, options, request)
    decoder = choose_decoder(root, options)
    if decoder.backend and not get_option_value(options, DECODER):
        options.append(f"{DECODER}={decoder.backend}")
    if isinstance(stop_handler, NodesStop):
        stop_handler.require_same_decoder(decoder.program)
    if device.is_first_rank():  # known only now: a task of one episode disables the split
        split = {"val_split": get_option_value(options, SPLIT_OPTION) or "0"}
        decodes = {"video_backend": decoder.backend, "video_decoder": decoder.program} if decoder.backend else {}
        emit_event(Track(params={**split, **decodes}))
        note_data(request, root, has_chosen=parse_episodes(options) is not None)
    return options


def remove_empty_output(options: Sequence[str]) -> None:
    """Remove an empty folder for outputs: LeRobot rejects one that exists."""
    output = Path(get_option_value(options, "--output_dir") or "")
    with suppress(FileNotFoundError):  # several processes do this at once
        if output.is_dir() and not any(output.iterdir()):
            output.rmdir()


def find_problems(request: TrainingRequest, options: Sequence[str], root: Path) -> list[Finding]:
    """Return why the tables of the dataset do not agree, for a training with these options. Raise as the comparison."""
    from robotrain_workloads.dataset_check import checks  # numpy starts threads
    from robotrain_workloads.dataset_check.load import Training

    tolerance = get_option_value(options, TOLERANCE)
    training = Training(
        parse_episodes(options),
        float(tolerance) if tolerance else None,
        request.allow_non_finite,
        **request.read_numbers,
    )
    return checks.check_tables(root, training)[1]


def _check_tables(request: TrainingRequest, options: Sequence[str], root: Path) -> None:
    """End as preflight if the tables of the dataset do not agree, with what to do."""
    try:
        findings = find_problems(request, options, root)
    except Exception as error:  # a form of tables that LeRobot may read nevertheless
        emit_note(f"the tables of the dataset were not compared: {type(error).__name__}: {error}", "warning")
        return
    if findings:
        end_as_preflight(data_errors.REFUSED + "; ".join(map(str, findings)))


def note_data(request: TrainingRequest, root: Path, *, has_chosen: bool) -> None:
    """Tell what only the dataset's files show, which do not keep the training from running."""
    if has_chosen and not request.computed_statistics and not request.first:
        note_text = "numbers are normalized with the statistics of the whole dataset, of the other episodes too"
        emit_note(note_text, ways=((statistics_needs.COMPUTED_WAY,),))
    if request.reads_task:
        taskless_episodes = sum(not task.strip() for _, task in dataset.read_first_tasks(root))
        if taskless_episodes:
            emit_note(f"{taskless_episodes} episode(s) have no text of their task, which is trained on", "warning")


class ChosenDecoder(NamedTuple):
    """What decodes the videos of a training."""

    backend: str = ""
    """LeRobot's name for it; empty if nothing is decoded."""
    program: str = ""
    """The same with its versions, by which the processes of a training compare themselves."""


def choose_decoder(root: Path, options: Sequence[str]) -> ChosenDecoder:
    """Return what decodes: what the user or the resumed training chose, else torchcodec if it reads the videos.

    A note says why, if PyAV does. End as preflight if what is chosen does not load.

    :param root: the dataset.
    :param options: those of LeRobot's command line.
    """
    try:
        features = dataset.get_features(dataset.load_dataset_info(root))
    except (OSError, ValueError):  # the trainer says what is wrong
        return ChosenDecoder()
    if not any(map(is_kept, features.values())):
        return ChosenDecoder()
    requested = get_option_value(options, DECODER) or ""
    streams = is_streamed_by(options)
    settled_decoder = TORCHCODEC if streams else requested or read_saved_decoder(options)
    if settled_decoder and settled_decoder != TORCHCODEC:
        return _describe(settled_decoder)
    failure = _find_failure()
    if failure and streams:
        end_as_preflight(f"LeRobot streams videos with torchcodec alone, which does not load: {failure}")
    if failure and requested:
        failure_text = f"torchcodec decodes the videos of this training, and does not load: {failure} ({USE_PYAV})"
        end_as_preflight(failure_text)
    if failure and settled_decoder:
        failure_text = f"the checkpoint was trained with torchcodec, which does not load here: {failure}"
        end_as_preflight(f"{failure_text} ({USE_PYAV} goes on with PyAV, whose pictures may differ)")
    if not failure and not (settled_decoder and not requested and not streams):  # the training read them before
        failure = _find_unread(root, options)
    if failure and settled_decoder:
        _warn(f"videos are decoded with torchcodec: {failure}")
    if settled_decoder or not failure:
        return _describe(TORCHCODEC)
    _warn(f"videos are decoded with PyAV, {COST}: {failure}")
    return _describe(PYAV)


def read_saved_decoder(options: Sequence[str]) -> str:
    """Return what decoded in the training that is resumed; empty if none is, or it does not say it."""
    config = get_option_value(options, "--config_path")
    with suppress(OSError, ValueError):
        saved_config = file_formats.read_json_object(Path(config)) if config else {}
        return str(get_dataset_settings(saved_config).get("video_backend") or "")
    return ""


def _describe(backend: str) -> ChosenDecoder:
    return ChosenDecoder(backend, ffmpeg_libraries.describe_decoder(backend))


def _find_failure() -> str:
    """Return why torchcodec does not load; empty if it does."""
    try:
        ffmpeg_libraries.describe_decoder(TORCHCODEC)
    except ModuleNotFoundError:
        return "the environment does not have it"
    except (ImportError, OSError, RuntimeError) as error:
        return "it finds no FFmpeg (versions 4 to 8)" if "FFmpeg" in str(error) else _shorten(error)
    return ""


def _find_unread(root: Path, options: Sequence[str]) -> str:
    """Return why torchcodec does not read the videos of a dataset; empty if it does."""
    from robotrain_workloads.dataset_check import load, videos  # numpy starts threads

    try:
        recorded = load.load_episodes(root, load.Training(parse_episodes(options)))
        for camera, episode, frames in videos.find_misread(recorded, trusts_headers=True):
            return f"it reads other pictures of {camera}, whose times are uneven (episode {episode}, frame {frames[0]})"
        tolerance = float(get_option_value(options, TOLERANCE) or LEROBOT_TOLERANCE)
        deadline = time.monotonic() + TRIAL_SECONDS
        for camera in filter(lambda name: is_kept(recorded.features[name]), recorded.videos):
            for episode in recorded.kept[:: max(1, len(recorded.kept) // (TRIED_EPISODES - 1))].tolist():
                times = videos.get_frame_times(recorded, camera, episode).tolist()
                tried = random.Random(0).sample(times, min(TRIED_FRAMES, len(times)))
                moments = (moment for moment in tried if time.monotonic() < deadline)
                _try_video(root / recorded.episodes[f"{camera}/path"].iloc[episode], moments, tolerance)
    except Exception as error:  # of which decoders have many
        if type(error).__name__ == OTHER_TIME:
            return "it reads pictures of other times than those that are asked for"
        return f"it does not read them: {_shorten(error)}"
    return ""


def _try_video(path: Path, moments: Iterable[float], tolerance: float) -> None:
    """Let LeRobot read frames one by one with torchcodec, and close the video. Raise as it does."""
    from lerobot.datasets import video_utils

    decoders = video_utils.VideoDecoderCache()  # not LeRobot's own: loading processes must not inherit it
    try:
        for moment in moments:
            video_utils.decode_video_frames_torchcodec(path, [moment], tolerance, decoder_cache=decoders)
    finally:
        decoders.clear()


def _shorten(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def _warn(text: str) -> None:
    if is_first_rank():
        emit_note(text, "warning")
