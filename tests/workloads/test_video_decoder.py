"""What decodes the videos of a training: torchcodec with the FFmpeg of PyAV where it reads them, else PyAV."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain_runtime.contract import child_python
from robotrain_workloads.lerobot import ffmpeg_libraries
from robotrain_workloads.lerobot_train import completed_options
from small_training import SMALL, read_tensors

ROOT = Path(__file__).parents[2]
CAMERA, NO_CAMERA = (ROOT / "examples" / name / "dataset" for name in ("pusht-camera", "pusht-mini"))
WEIGHTS = "outputs/checkpoints/000006/pretrained_model/model.safetensors"
FEW_STEPS = {"training_steps": 6, "save_freq": 6, "log_freq": 2, "eval_freq": 0}
RECODE = """
import sys, av
from fractions import Fraction
from pathlib import Path
path, shift = Path(sys.argv[1]), int(sys.argv[2])
with av.open(str(path)) as video:
    pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    rate = video.streams.video[0].average_rate
base = Fraction(1, int(rate * 512))
with av.open(str(path), "w") as video:
    stream = video.add_stream("libx264", rate=rate, options={"g": "12"})
    stream.height, stream.width = pictures[0].shape[:2]
    stream.pix_fmt, stream.codec_context.time_base = "yuv420p", base
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number * 512 - shift * (number % 2), base
        video.mux(stream.encode(frame))
    video.mux(stream.encode())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it is a library of Linux")
def test_a_library_is_found_by_its_alias(tmp_path) -> None:
    (real,) = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libm.so" in line}
    name = "libalias-of-a-test.so.9"
    with pytest.raises(OSError):
        ctypes.CDLL(name)
    (tmp_path / name).write_bytes(ffmpeg_libraries.make_alias(name, Path(real)))
    ctypes.CDLL(str(tmp_path / name))
    cosine = ctypes.CDLL(name).cos
    cosine.restype, cosine.argtypes = ctypes.c_double, [ctypes.c_double]
    assert cosine(0.0) == 1.0


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("libavutil-a63ffd27.so.59.39.100", "libavutil.so.59"),
        ("libswscale-5efb2ca5.so.8.3.100", "libswscale.so.8"),
        ("libvpx-09740bc5.so.11.0.0", None),
        ("libavutil.so.59", None),
    ],
)
def test_the_name_that_is_asked_for(tmp_path, file, name) -> None:
    (tmp_path / file).touch()
    assert [library for library, _ in ffmpeg_libraries._list_libraries(tmp_path)] == ([name] if name else [])


OFFSETS = [
    ([0, 0, 0, 0, 0], []),
    ([0, 3, 3, 3, 3], []),  # a little late: counted from the first one on
    ([0, 0, -3, 0, 0], [2]),  # a little early: the next one is read
    ([0, 0, -3, 0, -3], [2, 4]),  # of which the last one has none
    ([300, 300, 300, 300, 300], [1, 2, 3, 4]),
]
LIST_MISREAD = """
import json, sys
import numpy as np
from robotrain_workloads.dataset_check.videos import list_misread
times = np.arange(5) * 512
read = [list_misread(times + np.array(row), 1 / 5120, 10.0, np.arange(5) / 10) for row in json.loads(sys.argv[1])]
print(json.dumps([places.tolist() for places in read]))
"""


@pytest.mark.slow
def test_pictures_are_counted_and_not_compared_by_time(training_python) -> None:
    """As measured with torchcodec 0.10."""
    environ = child_python.make_import_environ([ROOT / "workloads", ROOT / "runtime"], os.environ)
    command = [training_python, "-c", LIST_MISREAD, json.dumps([offsets for offsets, _ in OFFSETS])]
    printed = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE).stdout
    assert json.loads(printed) == [misread for _, misread in OFFSETS]


def choose(capsys, folder: Path, *options: str) -> tuple[str, str]:
    """Return what decodes, and what is said."""
    chosen = completed_options.choose_decoder(folder, options)
    return chosen.backend, capsys.readouterr().out


@pytest.fixture
def without_torchcodec(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    monkeypatch.setattr(ffmpeg_libraries, "load_ffmpeg", lambda: None)
    load = ffmpeg_libraries.describe_decoder
    monkeypatch.setattr(
        ffmpeg_libraries, "describe_decoder", lambda name: "PyAV" if name != "torchcodec" else load(name)
    )


@pytest.fixture
def resumed(tmp_path):
    """Return the option that resumes a training which decoded with a backend."""

    def save(backend: str) -> str:
        path = tmp_path / "train_config.json"
        path.write_text(json.dumps({"dataset": {"video_backend": backend}}))
        return f"--config_path={path}"

    return save


def test_without_torchcodec_pyav_decodes_and_a_line_says_what_it_costs(without_torchcodec, capsys, resumed) -> None:
    backend, said = choose(capsys, CAMERA)
    assert (backend, "times as long" in said) == ("pyav", True)
    for option in ("--dataset.video_backend=pyav", resumed("pyav")):
        assert choose(capsys, CAMERA, option) == ("pyav", "")
    assert choose(capsys, CAMERA, "--dataset.streaming=true", "--dataset.eval_split=0.1")[0] == "pyav"
    assert choose(capsys, NO_CAMERA, resumed("torchcodec")) == ("", "")  # which decodes nothing


@pytest.mark.parametrize(
    "option", ["--dataset.video_backend=torchcodec", "--dataset.streaming=true", "--config_path={}"]
)
def test_what_needs_torchcodec_is_refused_without_it(without_torchcodec, capsys, resumed, option) -> None:
    option = option if "{}" not in option else resumed("torchcodec")
    with pytest.raises(SystemExit) as end:
        choose(capsys, CAMERA, option)
    assert (end.value.code, "does not have it" in capsys.readouterr().out) == (4, True)


def read_config(ran) -> str:
    return json.loads((ran.work / WEIGHTS).with_name("train_config.json").read_text())["dataset"]["video_backend"]


@pytest.mark.slow
def test_torchcodec_decodes_by_default_and_the_weights_are_those_of_pyav(train) -> None:
    """Also in processes that load data."""
    chosen = train(CAMERA, SMALL["act"], work="chosen", **{**FEW_STEPS, "num_workers": 2})
    pyav = train(CAMERA, (*SMALL["act"], "--dataset.video_backend=pyav"), work="given", **FEW_STEPS)
    assert (read_config(chosen), read_config(pyav)) == ("torchcodec", "pyav")
    assert not any("PyAV" in note for note in (*chosen.notes, *pyav.notes))
    assert read_tensors(chosen.work / WEIGHTS) == read_tensors(pyav.work / WEIGHTS)


@pytest.mark.slow
@pytest.mark.long
def test_pyav_decodes_what_torchcodec_would_misread(train, training_python, tmp_path) -> None:
    """Every second picture is a little early."""
    copied = shutil.copytree(CAMERA, tmp_path / "copied")
    (video,) = (copied / "videos").rglob("*.mp4")
    subprocess.run([training_python, "-c", RECODE, video, "30"], check=True, capture_output=True)
    ran = train(copied, SMALL["act"], **FEW_STEPS)
    assert read_config(ran) == "pyav"
    assert any("PyAV" in note and "times are uneven" in note for note in ran.notes), ran.notes
