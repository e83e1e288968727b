"""The number of data-loading processes, which pass batches in shared memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from job_documents import folders, get_work
from robotrain_runtime.contract import document
from robotrain_runtime.contract.event import Note
from robotrain_runtime.machine import hardware
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot_train import container, worker_count
from small_training import SMALL, STEPS

MIB = 1 << 20
IN_64_MIB = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"', "sh")
CAMERA = {"dtype": "video", "shape": [480, 640, 3]}


@pytest.fixture(autouse=True)
def many_cores(monkeypatch):
    """Say that this machine has eight cores and 64 GiB of memory, of which auto chooses the most."""
    monkeypatch.setattr(worker_count, "count_cores", lambda: 8)
    monkeypatch.setattr(worker_count, "get_available_memory", lambda: 64 << 30)


@pytest.fixture
def set_shared_memory(monkeypatch):
    """Say how much shared memory this machine has: `has(64 * MIB)`; None for a machine without such a place."""

    def set_size(size: int | None) -> None:
        monkeypatch.setattr(worker_count, "get_free_shared_memory", lambda place: size)

    return set_size


def camera(folder: Path, **feature) -> Path:
    info = json.loads((folder / "meta/info.json").read_text())
    info["features"]["observation.image"] = CAMERA | feature
    (folder / "meta/info.json").write_text(json.dumps(info))
    return folder


def choose_workers(document) -> tuple[int, list[str]]:
    """The processes that the trainer is told to load with, and the warnings about them."""
    work = get_work(document)
    warnings = [note.text for note in work.notes if isinstance(note, Note) and note.level == "warning"]
    return int(get_option_value(work.arguments, "--num_workers") or -1), warnings


@pytest.mark.parametrize(
    ("size", "wanted", "has_camera", "count"),
    [
        pytest.param(64 << 30, 7, True, 7, id="enough"),
        pytest.param(None, 7, True, 7, id="no such place"),
        pytest.param(0, 0, True, 0, id="no processes wanted"),
        pytest.param(64 * MIB, None, False, 4, id="small data"),
    ],
)
def test_enough_shared_memory_changes_nothing(training, dataset, set_shared_memory, size, wanted, has_camera, count):
    set_shared_memory(size)
    folder = camera(dataset()) if has_camera else dataset()
    assert choose_workers(training(folder, num_workers=wanted)) == (count, [])


def test_as_many_processes_load_data_as_shared_memory_holds(training, dataset, set_shared_memory):
    set_shared_memory(64 * MIB)  # the usual size in a container
    count, (warning,) = choose_workers(training(camera(dataset())))
    assert count == 0
    for fact in ("in the training process itself", "64 MiB free", "add shared memory"):
        assert fact in warning
    set_shared_memory(1 << 30)
    count, (warning,) = choose_workers(training(camera(dataset()), num_workers=8))
    assert 0 < count < 8
    assert f"with {count} of 8 processes" in warning


@pytest.mark.parametrize(
    ("ranks", "cores", "memory", "count", "facts"),
    [
        (1, 1, 64, 0, ["in the training process itself", "1 core ", "--num-workers N"]),
        (1, 2, 64, 0, ["in the training process itself", "2 cores"]),
        (1, 3, 64, 2, ["with 2 processes", "3 cores"]),
        (1, 64, 64, 4, ["with 4 processes", "64 cores"]),
        (1, 64, None, 4, ["with 4 processes"]),
        (2, 8, 64, 3, ["with 3 processes", "8 cores for 2 GPUs"]),
        (8, 8, 64, 0, ["in the training process itself", "8 cores for 8 GPUs"]),
        (1, 8, 4, 1, ["with 1 process", "4.0 GiB of memory"]),
        (1, 8, 1, 0, ["in the training process itself", "1.0 GiB of memory"]),
    ],
    ids=str,
)
def test_auto_chooses_from_cores_and_memory_and_says_why(
    training, dataset, set_shared_memory, monkeypatch, ranks, cores, memory, count, facts
):
    set_shared_memory(64 << 30)
    monkeypatch.setattr(worker_count, "count_cores", lambda: cores)
    monkeypatch.setattr(worker_count, "get_available_memory", lambda: memory and memory << 30)
    work = get_work(training(camera(dataset()), num_gpus=ranks))
    assert get_option_value(work.arguments, "--num_workers") == str(count)
    (text,) = [note.text for note in work.notes if isinstance(note, Note) and "data is loaded" in note.text]
    assert all(fact in text for fact in facts), text


STREAMED = ["--dataset.streaming=true"]


def test_streaming_gets_the_process_that_it_needs(training, dataset, set_shared_memory, monkeypatch):
    """As the rule for a number that is typed says."""
    monkeypatch.setattr(worker_count, "count_cores", lambda: 2)
    set_shared_memory(64 << 30)
    work = get_work(training(dataset(), STREAMED, val_split=0.0))
    assert get_option_value(work.arguments, "--num_workers") == "1"
    (text,) = [note.text for note in work.notes if isinstance(note, Note) and "data is loaded" in note.text]
    assert "with 1 process: --dataset.streaming=true reads nothing" in text
    set_shared_memory(1 * MIB)
    with pytest.raises(OSError, match="add shared memory"):
        get_work(training(camera(dataset(folder="films"), dtype="image"), STREAMED, val_split=0.0))


VERSION_1 = {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}
CGROUP_FILES = {
    "version 2": ({"cpu.max": "150000 100000\n", "memory.max": f"{3 << 30}\n"}, 1, 3 << 30),
    "version 1": ({**VERSION_1, "memory/memory.limit_in_bytes": f"{5 << 30}\n"}, 2, 5 << 30),
    "no limit": ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, 16, 8 << 30),
    "no cgroup": ({}, 16, 8 << 30),
}


@pytest.mark.parametrize(("files", "cores", "memory"), CGROUP_FILES.values(), ids=CGROUP_FILES)
def test_limits_of_the_container_count(tmp_path, monkeypatch, files, cores, memory):
    monkeypatch.setattr(hardware.os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    (tmp_path / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:   {8 << 20} kB\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert hardware.count_cores(tmp_path) == cores
    assert hardware.get_available_memory(tmp_path, tmp_path / "meminfo") == memory
    assert hardware.get_available_memory(tmp_path / "gone", tmp_path / "gone") is None


def test_the_options_are_checked_before_a_number_is_chosen(training, dataset, tmp_path):
    document = training(dataset())
    warm_up = container.warm_up(document, folders(document), tmp_path)
    assert get_option_value(warm_up.arguments, "--num_workers") == "0"


@pytest.mark.parametrize(
    "more",
    [
        {"num_gpus": 2, "num_workers": 4},
        {"policy_type": "diffusion"},
        {"args": ["--prefetch_factor=8"]},
        {"image": {"dtype": "image"}},
    ],
    ids=str,
)
def test_larger_or_more_batches_leave_room_for_fewer_processes(training, dataset, set_shared_memory, more):
    image = more.pop("image", {})
    folder = camera(dataset())
    usual = training(folder)
    set_shared_memory(enough := find_least_memory(usual, set_shared_memory))
    assert choose_workers(usual)[0] == 4
    set_shared_memory(enough)
    assert choose_workers(training(camera(folder, **image), **more))[0] < 4


def test_without_validation_half_the_shared_memory_is_enough(training, dataset, set_shared_memory):
    folder = camera(dataset())
    without = find_least_memory(training(folder, val_split=0), set_shared_memory)
    assert 1.8 < find_least_memory(training(folder), set_shared_memory) / without < 2
    assert find_least_memory(training(folder, eval_freq=0), set_shared_memory) == without


def find_least_memory(document, set_shared_memory) -> int:
    """The shared memory that four processes need."""
    low, high = 0, 1 << 40
    while low < high:
        set_shared_memory(middle := (low + high) // 2)
        low, high = (low, middle) if choose_workers(document)[0] == 4 else (middle + 1, high)
    return low


@pytest.mark.parametrize("broken", ["{", '{"features": {"a": {"dtype": "x", "shape": ["b"]}}}'])
def test_a_dataset_of_unknown_size_changes_nothing(training, dataset, set_shared_memory, broken):
    folder = dataset()
    (folder / "meta/info.json").write_text(broken)
    set_shared_memory(64 * MIB)
    assert choose_workers(training(folder))[0] == 4


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    free=some.integers(0, 1 << 40), wanted=some.integers(0, 64), batch=some.integers(1, 512), gpus=some.integers(1, 8)
)
def test_never_more_processes_than_wanted_and_a_warning_only_for_fewer(
    training, dataset, set_shared_memory, free, wanted, batch, gpus
):
    set_shared_memory(free)
    folder = camera(dataset())
    count, warnings = choose_workers(training(folder, num_workers=wanted, batch_size=batch, num_gpus=gpus))
    assert 0 <= count <= wanted
    assert bool(warnings) == (count < wanted)


def test_free_shared_memory_is_that_of_the_file_system(tmp_path):
    assert (worker_count.get_free_shared_memory(tmp_path) or 0) > 0
    assert worker_count.get_free_shared_memory(tmp_path / "gone") is None


@pytest.mark.slow
def test_a_training_in_a_container_of_64_mib_comes_to_its_end(training, training_environment, recorded, tmp_path):
    """With the four processes that are wanted it would end: "unable to allocate shared memory"."""
    if subprocess.run([*IN_64_MIB, "true"], capture_output=True).returncode:
        pytest.skip("this machine gives nobody a /dev/shm of his own")
    place = {"environment": training_environment, "work": str(tmp_path / "work")}
    parameters = {**STEPS, "batch_size": 8, "num_workers": 4, "training_steps": 2}
    (tmp_path / "job.json").write_text(
        document.format_document(training(recorded / "large-images", SMALL["act"], place, **parameters))
    )
    command = [*IN_64_MIB, sys.executable, "-m", "robotrain_runtime", "run", str(tmp_path / "job.json")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert "in the training process itself: /dev/shm has 64 MiB free" in done.stdout
