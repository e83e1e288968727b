"""Decoded frames are kept and read again: right pictures or none, and the same weights."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from job_documents import check_job
from problem_assertions import check_problems
from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Track
from robotrain_workloads.lerobot_train.frames import frame_cache, frame_file
from robotrain_workloads.lerobot_train.frames.frame_cache import FrameCache
from robotrain_workloads.lerobot_train.frames.frame_file import FrameFile, Slot, identify_file
from robotrain_workloads.lerobot_train.frames.frame_plan import count_frame_bytes
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN
from small_training import SMALL, Trained, read_tensors

ROOT = Path(__file__).parents[2]
CAMERA = ROOT / "examples/pusht-camera/dataset"
SIZE = 12
FIRST, SECOND = Slot(0, 0.0), Slot(1, 0.1)
TRANSFORMS = ("--dataset.image_transforms.enable=true",)
WEIGHTS = "outputs/checkpoints/{:06d}/pretrained_model/model.safetensors"
GROWING = {"training_steps": 8, "save_freq": 4, "log_freq": 4, "eval_freq": 0}


def fill(byte: int) -> memoryview:
    return memoryview(bytes([byte] * SIZE))


def test_a_frame_is_read_by_whoever_opens_the_file(tmp_path) -> None:
    file = FrameFile(tmp_path / "video", SIZE)
    assert file.read(SECOND) is None
    file.write(SECOND, fill(7))
    file.write(SECOND, fill(9))  # there is one
    again = FrameFile(tmp_path / "video", SIZE)
    assert (again.read(SECOND), again.read(FIRST)) == (fill(7), None)
    assert again.read(Slot(1, 0.1000001)) is None


@pytest.mark.parametrize("place", ["first pixel", "last pixel", "record", "short"])
def test_a_damaged_frame_is_none_and_is_written_again(tmp_path, place) -> None:
    file = FrameFile(tmp_path / "video", SIZE)
    file.write(FIRST, fill(7))
    file.write(SECOND, fill(8))
    pixels = tmp_path / "video.pixels"
    content = bytearray(pixels.read_bytes())
    if place == "record":
        index = tmp_path / "video.index"
        index.write_bytes(index.read_bytes()[: frame_file.RECORD.size])
    elif place == "short":
        os.truncate(pixels, 2 * SIZE - 1)
    else:
        content[SIZE if place == "first pixel" else 2 * SIZE - 1] ^= 1
        pixels.write_bytes(content)
    assert (file.read(FIRST), file.read(SECOND)) == (fill(7), None)
    file.write(SECOND, fill(8))
    assert file.read(SECOND) == fill(8)


def test_a_frame_that_another_process_writes_is_left_to_it(tmp_path) -> None:
    file = FrameFile(tmp_path / "video", SIZE)
    with (tmp_path / "video.index").open("r+b") as index:
        fcntl.lockf(index, fcntl.LOCK_EX, frame_file.RECORD.size)
        child = os.fork()
        if not child:  # locks are a process's
            file.write(FIRST, fill(7))
            os._exit(0 if file.read(FIRST) is None else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    file.write(FIRST, fill(7))
    assert file.read(FIRST) == fill(7)


def test_processes_that_fill_one_file_leave_right_frames_or_none(tmp_path) -> None:
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            file = FrameFile(tmp_path / "video", SIZE)
            for number in range(300):
                file.write(Slot(number, number / 10), fill(number % 256))
            os._exit(0)
        children.append(child)
    file, seen = FrameFile(tmp_path / "video", SIZE), set[bool]()
    while children:
        for number in range(300):
            pixels = file.read(Slot(number, number / 10))
            seen.add(pixels is None or pixels == fill(number % 256))
        children = [child for child in children if os.waitpid(child, os.WNOHANG)[0] == 0]
    assert seen == {True}
    assert all(file.read(Slot(number, number / 10)) == fill(number % 256) for number in range(300))


def test_a_process_that_is_killed_leaves_right_frames_or_none(tmp_path) -> None:
    counts = []
    for attempt in range(5):
        child = os.fork()
        if not child:
            file = FrameFile(tmp_path / "video", SIZE)
            for number in range(100_000):
                file.write(Slot(number, number / 10), fill(number % 256))
            os._exit(0)
        index = tmp_path / "video.index"
        while not index.exists() or index.stat().st_size < (attempt + 1) * 50 * frame_file.RECORD.size:
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        file = FrameFile(tmp_path / "video", SIZE)
        last = index.stat().st_size // frame_file.RECORD.size
        frames = {number: file.read(Slot(number, number / 10)) for number in range(last + 1)}
        assert all(pixels in (None, fill(number % 256)) for number, pixels in frames.items())
        counts.append(sum(pixels is not None for pixels in frames.values()))
    assert counts[0] >= 49
    assert counts == sorted(counts)  # those of earlier attempts stay


def test_the_size_is_that_of_the_videos_without_depth() -> None:
    video = {"dtype": "video", "shape": [480, 640, 3]}
    features = {
        "front": video,
        "top": video,
        "depth": {**video, "info": {"video.is_depth_map": True}},
        "picture": {**video, "dtype": "image"},
    }
    assert count_frame_bytes({"total_frames": 10, "features": features}) == 2 * 10 * 480 * 640 * 3
    assert count_frame_bytes({"features": features}) == 0


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(b"content")
    return SimpleNamespace(
        path=str(path),
        identity=identify_file(path),
        file=str(tmp_path / "frames"),
        rate=10.0,
        slots=5,
        height=2,
        width=2,
        frame_bytes=12,
    )


@pytest.fixture
def cache(tmp_path, video):
    plan = SimpleNamespace(videos=[video], backend="pyav", tolerance=0.01, folder=str(tmp_path))
    return FrameCache(plan, tmp_path / "stopped")


def test_what_is_not_planned_is_decoded_by_lerobot(cache, video) -> None:
    """Depth, other decoders and tolerances, times beyond the end, other videos: LeRobot is asked, and nothing kept."""
    calls = []

    def decode(*args, **kwargs):
        calls.append(args)
        return "frames"

    for path, times, tolerance, backend, named in (
        ("other.mp4", [0.0], 0.01, "pyav", {"return_uint8": True}),
        (video.path, [0.5], 0.01, "pyav", {"return_uint8": True}),
        (video.path, [0.0], 0.02, "pyav", {"return_uint8": True}),
        (video.path, [0.0], 0.01, "torchcodec", {"return_uint8": True}),
        (video.path, [0.0], 0.01, "pyav", {"return_uint8": True, "is_depth": True}),
        (video.path, [0.0], 0.01, "pyav", {}),
    ):
        assert cache.decode(decode, path, times, tolerance, backend, **named) == "frames"
    Path(video.path).write_bytes(b"another")
    os.utime(video.path, ns=(1, 1))
    assert cache.decode(decode, video.path, [0.0], 0.01, "pyav", return_uint8=True) == "frames"
    assert len(calls) == 7
    assert not list(Path(video.file).parent.glob("frames.*"))


class Frames(list):
    """Two frames, as of torch."""

    shape = (2, 3, 2, 2)

    def element_size(self) -> int:
        return 1


class Frame(bytes):
    """A frame, as of torch."""

    def contiguous(self) -> "Frame":
        return self

    def numpy(self) -> "Frame":
        return self


@pytest.mark.parametrize("failure", ["full disk", "folder that is gone"])
def test_a_full_disk_ends_the_writing_with_one_line(cache, video, tmp_path, monkeypatch, capsys, failure) -> None:
    if failure == "full disk":
        usage = SimpleNamespace(free=frame_cache.RESERVE_BYTES - 1)
        monkeypatch.setattr(frame_cache.shutil, "disk_usage", lambda path: usage)
    else:
        video.file = str(tmp_path / "gone/frames")
    frames = Frames([Frame(SIZE), Frame(SIZE)])
    other = FrameCache(cache._plan, cache._stop_file)  # of another process
    for each in (cache, cache, other):
        each._write(video, [FIRST, SECOND], frames)
    assert [each._writes for each in (cache, other)] == [False, False]
    assert capsys.readouterr().out.count("no more frames are kept") == 1


@pytest.mark.parametrize(
    ("arguments", "space"),
    [((30, None, None), 10), ((30, 3, None), 3), ((30, 100, None), 25), ((30, None, 4), 4), ((4, 9, None), 0)],
)
def test_the_space_with_auto(arguments, space, monkeypatch) -> None:
    """A third of the free disk, or the given size; never more than the limit of the cache or the reserve allow."""
    monkeypatch.setattr(frame_cache, "RESERVE_BYTES", 5)
    assert frame_cache.compute_space(*arguments) == space


@pytest.mark.parametrize(
    ("folder", "options", "fact"),
    [
        ("pusht-mini", [], "no videos"),
        ("pusht-camera", ["--dataset.streaming=true"], "streamed"),
        ("pusht-camera", ["--dataset.streaming=Yes"], "streamed"),
    ],
)
def test_what_has_no_frames_that_come_again_is_told(tmp_path, capsys, folder, options, fact) -> None:
    settings = {"cache": str(tmp_path / "cache"), "mode": "on", "limit": None, "cache_limit": None}
    with frame_cache.start(ROOT / "examples" / folder / "dataset", options, settings):
        assert fact in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()


def test_a_size_needs_the_cache() -> None:
    source = JobSource(kind="local_dir", role="dataset", uri=str(CAMERA))
    assert not check_job(LEROBOT_TRAIN, source, frame_cache="auto", frame_cache_size=3.0)
    check_problems(check_job(LEROBOT_TRAIN, source, frame_cache_size=3.0), "option-without-effect --frame-cache-size")


def list_cache_files(cache: Path) -> list[Path]:
    return sorted(cache.glob("frames/*/*.pixels"))


def train_twice(train, tmp_path, args=(), **parameters) -> tuple[Trained, Trained]:
    """Train without and with the cache."""
    settings = {**GROWING, **parameters}
    plain = train(CAMERA, (*SMALL["act"], *args), work="plain", **settings)
    cached = train(CAMERA, (*SMALL["act"], *args), work="cached", frame_cache="on", **settings)
    return plain, cached


@pytest.mark.slow
def test_weights_are_the_same_with_the_cache_and_from_it(train, tmp_path) -> None:
    plain, cached = train_twice(train, tmp_path)
    (file,) = list_cache_files(tmp_path / "cache")
    written = file.read_bytes()
    assert written
    again = train(CAMERA, SMALL["act"], work="again", frame_cache="on", **GROWING)
    expected = read_tensors(plain.work / WEIGHTS.format(8))
    assert all(read_tensors(ran.work / WEIGHTS.format(8)) == expected for ran in (cached, again))
    assert any("decoded frames are kept in" in note for note in again.notes)
    assert file.read_bytes() == written  # of the same frames


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("policy", "workers"), [("act", 0), ("act", 2), ("diffusion", 4)])
def test_weights_are_the_same_with_image_transforms_and_after_a_resume(train, tmp_path, policy, workers) -> None:
    """Diffusion reads two frames of a sample, which the processes keep and read at the same time."""
    parameters = {**GROWING, "policy_type": policy, "num_workers": workers}
    half = tmp_path / "half/000004"
    weights = {}
    for work, mode in (("plain", "off"), ("filled", "on"), ("resumed", "off"), ("resumed-cached", "on")):
        starts = {"resume": half} if work.startswith("resumed") else None
        trained = train(CAMERA, (*SMALL[policy], *TRANSFORMS), starts, work=work, frame_cache=mode, **parameters)
        tracked = [event.params for event in trained.events(Track)]
        assert [params["video_backend"] for params in tracked if "video_backend" in params] == ["torchcodec"]
        assert bool(list_cache_files(tmp_path / "cache")) == (work != "plain")
        weights[work] = read_tensors(trained.work / WEIGHTS.format(8))
        if work == "plain":
            shutil.copytree(trained.work / "outputs/checkpoints/000004", half)
    assert weights["plain"] == weights["filled"]
    assert weights["resumed"] == weights["resumed-cached"]


@pytest.mark.slow
@pytest.mark.long
def test_weights_of_two_processes_that_train_together_are_the_same(train, tmp_path) -> None:
    settings = {"num_gpus": 2, "batch_size": 2}
    plain, cached = train_twice(train, tmp_path, **settings)
    assert list_cache_files(tmp_path / "cache")
    assert read_tensors(plain.work / WEIGHTS.format(8)) == read_tensors(cached.work / WEIGHTS.format(8))


@pytest.mark.slow
@pytest.mark.long
def test_damaged_frames_are_decoded_and_whole_ones_are_not(train, tmp_path) -> None:
    plain, _ = train_twice(train, tmp_path)
    expected = read_tensors(plain.work / WEIGHTS.format(8))
    (pixels,) = list_cache_files(tmp_path / "cache")
    black = bytes(len(pixels.read_bytes()))
    pixels.write_bytes(black)
    damaged = train(CAMERA, SMALL["act"], work="damaged", frame_cache="on", **GROWING)
    assert read_tensors(damaged.work / WEIGHTS.format(8)) == expected
    pixels.write_bytes(black)
    index, record = pixels.with_suffix(".index"), frame_file.RECORD
    content = bytearray(index.read_bytes())
    for start in range(0, len(content), record.size):
        time, _, mark = record.unpack_from(content, start)
        record.pack_into(content, start, time, frame_file.compute_checksum(time, bytearray(64 * 64 * 3)), mark)
    index.write_bytes(content)
    forged = train(CAMERA, SMALL["act"], work="forged", frame_cache="on", **GROWING)
    assert read_tensors(forged.work / WEIGHTS.format(8)) != expected  # so they are read from there


@pytest.mark.slow
@pytest.mark.long
def test_a_cache_that_cannot_be_written_is_told_and_trained_without(train, tmp_path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/frames").write_text("no folder")
    ran = train(CAMERA, SMALL["act"], frame_cache="on", **GROWING)
    assert any("no decoded frames are kept" in note for note in ran.notes)


@pytest.mark.slow
@pytest.mark.long
def test_processes_that_share_a_cache_read_right_pictures(training_python, tmp_path) -> None:
    """One that was killed, two that fill it at once, workers; a video that does not decode, one that was replaced."""
    folders = [ROOT / "workloads", ROOT / "runtime", Path(__file__).parent]
    environ = child_python.make_import_environ(folders, os.environ)
    damaged = shutil.copytree(CAMERA, tmp_path / "damaged-set")
    damage = "import sys, pathlib, damaged_datasets; damaged_datasets.damage_middle(pathlib.Path(sys.argv[1]))"
    subprocess.run([training_python, "-c", damage, damaged], env=environ, check=True)
    words = [training_python, Path(__file__).with_name("shared_frames.py"), CAMERA, damaged, tmp_path]
    read = json.loads(subprocess.run(words, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout)
    assert read.pop("killed") == "False"
    sentences = [read.pop(name) for name in ("damaged", "damaged, cached", "replaced")]
    assert all("episode 3" in sentence for sentence in sentences), sentences
    assert sentences[0] == sentences[1]
    assert len(read["plain"]) == 64
    assert set(read.values()) == {read["plain"]}
