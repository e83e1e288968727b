"""How much of its time a training waits for data: measured at every step but the first ones, and said if it is much."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from job_documents import get_work, read_request
from robotrain_runtime.contract import event
from robotrain_workloads.lerobot_train.data_wait import FIRST_STEPS, LEAST_STEPS, DataWait
from robotrain_workloads.lerobot_train.frames import frame_cache

ROOT = Path(__file__).parents[2]


def take_steps(waits: DataWait, count: int, loading: float, update: float) -> None:
    for _ in range(count):
        waits.add_step(loading, update)


@pytest.fixture
def list_notes(capsys):
    """Return the notes that were sent since the last call."""

    def list_notes() -> list[event.Note]:
        records = (event.parse_event(line) for line in capsys.readouterr().out.splitlines())
        return [record.event for record in records if record]

    return list_notes


def test_the_first_steps_do_not_count() -> None:
    waits = DataWait(0, 4, is_on_gpu=True)
    take_steps(waits, FIRST_STEPS, 100.0, 1.0)
    assert waits.share is None
    take_steps(waits, 4, 1.0, 3.0)
    assert waits.share == 0.25


@pytest.mark.parametrize(
    ("workers", "cores", "loading", "is_on_gpu", "level", "way"),
    [
        (4, 16, 0.106, True, "warning", "--num-workers 16"),
        (0, 2, 0.1, False, "", ""),  # measured: on two cores without a GPU, processes make it slower
        (16, 16, 0.106, True, "warning", ""),
        (4, 16, 0.005, True, "", ""),
    ],
)
def test_a_long_wait_is_said_once_with_what_helps(list_notes, workers, cores, loading, is_on_gpu, level, way) -> None:
    waits = DataWait(workers, cores, is_on_gpu=is_on_gpu)
    take_steps(waits, FIRST_STEPS + LEAST_STEPS - 1, loading, 0.039)
    assert not list_notes()
    take_steps(waits, 200, loading, 0.039)
    notes = list_notes()
    assert [note.level for note in notes] == ([level] if level else [])
    assert [note.ways for note in notes] == ([((way,),) if way else ()] if level else [])
    assert all(note.text.endswith(f" ({way})" if way else "more cores would help") for note in notes)
    assert all(f"{loading / (loading + 0.039):.0%}" in note.text for note in notes)


def test_videos_that_are_decoded_can_be_kept(list_notes) -> None:
    ways = frame_cache.list_ways(ROOT / "examples/pusht-camera/dataset", {})
    waits = DataWait(2, 2, is_on_gpu=True, other_ways=ways)
    take_steps(waits, FIRST_STEPS + LEAST_STEPS, 1.0, 1.0)
    (note,) = list_notes()
    assert note.ways == (("--frame-cache on",),)
    assert note.text.endswith("(--frame-cache on)")
    assert not frame_cache.list_ways(ROOT / "examples/pusht-camera/dataset", {"mode": "on"})
    assert not frame_cache.list_ways(ROOT / "examples/pusht-mini/dataset", {})


def test_the_option_of_the_platform_for_more_cores_reaches_the_launcher(training) -> None:
    document = training(ROOT / "examples/pusht-camera/dataset", num_workers=2)
    placement = replace(document.placement, cores_option="--cpus N")
    commands = [get_work(replace(document, placement=place)).arguments for place in (placement, document.placement)]
    assert [read_request(arguments).cores_option for arguments in commands] == ["--cpus N", ""]


def test_the_times_are_those_that_lerobots_tracker_is_given() -> None:
    class Tracker:
        """The part of LeRobot's MetricsTracker that is relied on."""

    waits = DataWait(0, 4, is_on_gpu=False)
    waits.install(SimpleNamespace(MetricsTracker=Tracker))
    tracker = Tracker()
    for _ in range(FIRST_STEPS + 1):
        tracker.dataloading_s = 3.0
        tracker.loss = 0.5
        tracker.update_s = 1.0
    assert (waits.share, tracker.loss) == (0.75, 0.5)
