"""LeRobot's decoder, asked only for frames that are not in the cache: in the trainer and where data is loaded for it.

Nothing heavy is imported before LeRobot is: `start` and `join` do.
"""

import dataclasses
import errno
import functools
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.event import emit_note
from robotrain_runtime.contract.files import format_size
from robotrain_runtime.machine import disk_cache
from robotrain_runtime.machine.disk_cache import CacheLease

from robotrain_workloads.dataset_check.dataset_options import is_streamed_by
from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.device import is_first_rank
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot_train.frames import frame_plan
from robotrain_workloads.lerobot_train.frames.frame_file import FrameFile, Slot, identify_file
from robotrain_workloads.lerobot_train.frames.frame_plan import FramePlan, PlannedVideo

VARIABLE = "ROBOTRAIN_FRAME_PLAN"
"""The environment variable with the file of the plan, for the processes that load data."""
READER, DECODE = "lerobot.datasets.dataset_reader", "decode_video_frames"
"""Where LeRobot's datasets call the decoder, whichever it is."""
DECODER, TOLERANCE = "--dataset.video_backend", "--tolerance_s"
AUTO = "auto"
SHARE_OF_DISK = 1 / 3
"""Of the free disk, what all frames must fit in with `auto`."""
RESERVE_BYTES = 5 * disk_cache.GIB
"""Of the disk, which stay free for checkpoints."""
STOPPED = "stopped"
"""The file beside the plan that says that nothing more is written."""
LEROBOT_TOLERANCE = 1e-4


class FrameCache:
    """Answers for LeRobot's decoder: with frames of the cache, or with its own, which are kept."""

    def __init__(self, plan: FramePlan, stop_file: Path) -> None:
        """`stop_file` is written by the first process that cannot write a frame."""
        self._plan = plan
        self._stop_file = stop_file
        self._videos = {video.path: video for video in plan.videos}
        self._files = dict[str, FrameFile]()
        self._writes = True

    def decode(
        self,
        original: Callable[..., Any],
        video_path: Path | str,
        timestamps: list[float],
        tolerance_s: float,
        backend: str | None = None,
        return_uint8: bool = False,
        is_depth: bool = False,
    ) -> Any:
        """Return the frames at some times, as LeRobot's `original` does. Raise as it does."""
        video = self._videos.get(str(video_path))
        planned_decoding = self._plan.backend, self._plan.tolerance
        slots = list[Slot]()
        if video and return_uint8 and not is_depth and (backend, tolerance_s) == planned_decoding:
            slots = self._find_slots(video, timestamps)
        if video and slots and (frames := self._read(video, slots)) is not None:
            return frames
        frames = original(video_path, timestamps, tolerance_s, backend, return_uint8=return_uint8, is_depth=is_depth)
        if video and slots and self._writes:
            self._write(video, slots, frames)
        return frames

    def _find_slots(self, video: PlannedVideo, timestamps: Sequence[float]) -> list[Slot]:
        """Return the slots of times; none if one has none, or another file is in the video's place."""
        slots = [Slot(round(time * video.rate), time) for time in timestamps]
        with suppress(OSError):
            is_same = identify_file(video.path) == video.identity
            return slots if is_same and all(0 <= slot.number < video.slots for slot in slots) else []
        return []

    def _open(self, video: PlannedVideo) -> FrameFile:
        if video.file not in self._files:
            self._files[video.file] = FrameFile(Path(video.file), video.frame_bytes)
        return self._files[video.file]

    def _read(self, video: PlannedVideo, slots: Sequence[Slot]) -> Any:
        """Return the frames as one tensor; None if one is missing."""
        import torch

        frames = []
        for slot in slots:
            try:
                pixels = self._open(video).read(slot)
            except OSError:
                return None
            if pixels is None:
                return None
            frames.append(torch.frombuffer(pixels, dtype=torch.uint8).view(3, video.height, video.width))
        return torch.stack(frames) if len(frames) > 1 else frames[0].unsqueeze(0)

    def _write(self, video: PlannedVideo, slots: Sequence[Slot], frames: Any) -> None:
        """Keep frames of an expected form. What the disk refuses ends the writing, and not the training."""
        if tuple(frames.shape) != (len(slots), 3, video.height, video.width) or frames.element_size() != 1:
            return
        try:
            if shutil.disk_usage(self._plan.folder).free < RESERVE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            for slot, frame in zip(slots, frames, strict=True):
                self._open(video).write(slot, memoryview(frame.contiguous().numpy()).cast("B"))
        except OSError as error:
            self._stop_writing(error)

    def _stop_writing(self, error: OSError) -> None:
        """Write no more frames in this process; the first process says so."""
        self._writes = False
        with suppress(OSError):
            self._stop_file.touch(exist_ok=False)
            note_text = (
                f"no more frames are kept in {self._plan.folder}: {error.strerror or error}; the training goes on"
            )
            emit_note(note_text, "warning")


def start(root: Path, options: Sequence[str], settings: Mapping[str, Any]) -> ExitStack:
    """Have the decoder asked only for frames that the cache lacks, here and in loading processes; LeRobot is imported.

    Return what keeps others from removing the frames while it is entered.

    :param options: those of LeRobot's command line.
    :param settings: as `frame_options.make_settings` returns them.
    """
    if not settings:
        return ExitStack()
    try:
        if reason := _find_reason_against(root, options):
            return _train_without("info", reason)
        cache, limits = Path(settings["cache"]), [settings[name] for name in ("limit", "cache_limit")]
        size = frame_plan.count_frame_bytes(dataset.load_dataset_info(root))
        backend = get_option_value(options, DECODER) or ""
        tolerance = float(get_option_value(options, TOLERANCE) or LEROBOT_TOLERANCE)
        most_bytes = min([size, *(limit for limit in limits if limit is not None)])
        plan = frame_plan.make_plan(root, cache, backend, tolerance, most_bytes)
        present_bytes = disk_cache.measure_folder(Path(plan.folder)).size
        free = disk_cache.get_free_bytes(cache) + present_bytes
        if settings["mode"] == AUTO and size > (allowed_bytes := compute_space(free, *limits)):
            reason = (
                f"they are {format_size(size)}, and {format_size(allowed_bytes)} are allowed (--frame-cache on "
                "keeps a part)"
            )
            return _train_without("info", reason)
        return _use(plan, cache, present_bytes)
    except (OSError, ValueError, ImportError, RuntimeError) as error:  # the last two: of a decoder that does not load
        return _train_without("warning", str(error))


def list_ways(root: Path, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the option that spares a training the decoding of videos; none if it is given, or nothing is decoded."""
    with suppress(OSError, ValueError):
        if not settings and frame_plan.count_frame_bytes(dataset.load_dataset_info(root)):
            return ("--frame-cache on",)
    return ()


def _find_reason_against(root: Path, options: Sequence[str]) -> str:
    """Return why no frames can be kept; empty if they can. Raise OSError."""
    if is_streamed_by(options):
        return "a dataset that is streamed has no frames that come again"
    has_videos = frame_plan.count_frame_bytes(dataset.load_dataset_info(root))
    return "" if has_videos else "the dataset has no videos of colors"


def compute_space(free: int, limit: int | None, cache_limit: int | None) -> float:
    """Return the bytes that all frames must fit in with `auto`, of those that are free or frames of theirs."""
    allowed_bytes = free * SHARE_OF_DISK if limit is None else min(limit, free - RESERVE_BYTES)
    return max(0, allowed_bytes if cache_limit is None else min(allowed_bytes, cache_limit))


def _use(plan: FramePlan, cache: Path, present_bytes: int) -> CacheLease:
    """Make the entry of the cache, keep it, and have it used here and in loading processes. Raise OSError."""
    frame_plan.make_entry(Path(plan.folder))
    lease = CacheLease(cache)
    lease.acquire(Path(plan.folder))
    folder = tempfile.TemporaryDirectory(prefix="robotrain-frames-")
    lease.callback(folder.cleanup)
    plan_file = Path(folder.name, "plan.json")
    plan_file.write_text(json.dumps(dataclasses.asdict(plan)))
    with tempfile.TemporaryFile(dir=plan.folder):  # a folder that cannot be written is told now
        pass
    os.environ[VARIABLE] = str(plan_file)
    join()
    share_text = f"up to {format_size(plan.size)}, of which {format_size(min(present_bytes, plan.size))} are there"
    _emit_note("info", f"decoded frames are kept in {plan.folder}: {share_text}")
    return lease


def join() -> None:
    """Use the cache of the training that this process loads data for; nothing if it has none."""
    if VARIABLE not in os.environ:
        return
    with suppress(ImportError, OSError, ValueError):  # without it, frames are decoded
        plan_file = Path(os.environ[VARIABLE])
        cache = FrameCache(frame_plan.load_plan(plan_file.read_text()), plan_file.with_name(STOPPED))
        reader = importlib.import_module(READER)
        setattr(reader, DECODE, functools.partial(cache.decode, getattr(reader, DECODE)))


def _train_without(level: Any, reason: str) -> ExitStack:
    _emit_note(level, f"no decoded frames are kept: {reason}")
    return ExitStack()


def _emit_note(level: Any, text: str) -> None:
    if is_first_rank():
        emit_note(text, level)
