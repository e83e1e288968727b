"""The publisher beside destinations that do what they should not: they are pretended, the checkpoints are real."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from robotrain_runtime.checkpoints.recovery import EarlierAttempts
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import (
    Checkpoint,
    Delivered,
    Discarded,
    Evaluated,
    Note,
    Published,
    Track,
    make_record,
)
from robotrain_runtime.contract.failure import Cancelled, PermanentError
from robotrain_runtime.process.stop import StopSignal
from robotrain_runtime.publishing import publisher
from robotrain_runtime.publishing.publisher import Publisher, RetryQueue
from robotrain_runtime.publishing.sealing import COPIED_KINDS, Destination, PublishedCopy

WAIT_SECONDS = 20.0


class FakeDestination(Destination):
    """A destination that accepts everything, unless `act` raises an error."""

    def __init__(
        self,
        act=lambda sealed, is_cancelled: None,
        name: str = "/mnt/place",
        is_required: bool = True,
        accepted_kinds=COPIED_KINDS,
    ) -> None:
        self.act, self.name, self.is_required, self.accepted_kinds = act, name, is_required, accepted_kinds
        self.came: list[str] = []

    def contains_address(self, address: str) -> bool:
        return address.startswith(self.name)

    def publish(self, sealed, is_cancelled) -> PublishedCopy:
        self.act(sealed, is_cancelled)
        self.came.append(sealed.folder.name)
        return PublishedCopy(f"{self.name}/{sealed.folder.name}", True)

    def trim(self, is_cancelled) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(publisher, "LONGEST_PAUSE", 0.001)
    monkeypatch.setattr(publisher, "LAST_PAUSES", (0.001, 0.001))


@pytest.fixture
def messages() -> list:
    return []


@pytest.fixture
def publishing(job, messages):
    def make(*places: FakeDestination, earlier: EarlierAttempts | None = None) -> Publisher:
        return Publisher(
            job(),
            places,
            messages.append,
            earlier=earlier or EarlierAttempts(),
            needed=any(place.is_required for place in places),
        )

    return make


@pytest.fixture
def save_checkpoint(tmp_path):
    def save(step: int) -> Checkpoint:
        folder = tmp_path / "checkpoints" / f"{step:06}"
        folder.mkdir(parents=True)
        (folder / "weights").write_text(str(step))
        return Checkpoint(step=step, path=str(folder))

    return save


@pytest.fixture
def save_results(tmp_path):
    """What an evaluation tells, and its files."""
    folder, policy = tmp_path / "work/outputs/eval_results", tmp_path / "work/outputs/policy/000400"
    for path, content in ((folder / "eval_results.json", "{}"), (policy / "config.json", "act")):
        path.parent.mkdir(parents=True)
        path.write_text(content)
    (folder / ".video.part").touch()
    return Evaluated(
        episodes=4, scores={"rollout/success_rate": 0.75}, results=str(folder), policy=str(policy), step=400
    )


def fail_with(error):
    def act(sealed, is_cancelled):
        raise error

    return act


def select(kind, told) -> list:
    return [event for event in told if isinstance(event, kind)]


def test_h1_10_adding_a_checkpoint_does_not_wait_for_a_destination(publishing, save_checkpoint, messages, tmp_path):
    let = threading.Event()
    slow = FakeDestination(lambda sealed, is_cancelled: let.wait(WAIT_SECONDS), name="/mnt/slow")
    quick = FakeDestination(name="/mnt/quick")
    made = publishing(slow, quick)
    for step in (20, 40):
        made.add(save_checkpoint(step))
    while quick.came != ["000020", "000040"]:  # neither does one destination wait for another
        time.sleep(0.01)
    assert slow.came == []
    let.set()
    assert made.drain(StopSignal()) == []
    assert slow.came == ["000020", "000040"]
    assert len(select(Published, messages)) == 4


def test_h1_10_adding_a_checkpoint_does_not_wait_for_its_digests(publishing, save_checkpoint, monkeypatch):
    let, place = threading.Event(), FakeDestination()
    seal = checkpoint.seal_checkpoint
    monkeypatch.setattr(
        checkpoint, "seal_checkpoint", lambda *args, **kwargs: (let.wait(WAIT_SECONDS), seal(*args, **kwargs))[1]
    )
    made = publishing(place)
    made.add(save_checkpoint(20))
    assert not made.is_complete
    let.set()
    assert made.drain(StopSignal()) == []
    assert (made.is_complete, place.came) == (True, ["000020"])


def test_h1_09_what_fails_is_tried_again_and_told_once(publishing, save_checkpoint, messages):
    troubles = [OSError("full"), OSError("full"), None, OSError("full"), None]

    def act(sealed, is_cancelled):
        if trouble := troubles.pop(0):
            raise trouble

    made = publishing(FakeDestination(act))
    made.add(save_checkpoint(20))
    made.add(save_checkpoint(40))
    assert made.drain(StopSignal()) == []
    assert [event.step for event in select(Published, messages)] == [20, 40]
    assert [note.text for note in select(Note, messages)] == [
        "checkpoint 000020 is not published to /mnt/place: full; trying again"
    ]


def test_an_unexpected_exception_is_reported_for_all_artifacts(publishing, save_checkpoint, messages):
    made = publishing(FakeDestination(fail_with(ZeroDivisionError("surprise"))), FakeDestination(name="/mnt/fine"))
    for step in (20, 40, 60):
        made.add(save_checkpoint(step))
    (sentence,) = made.drain(StopSignal())
    assert sentence == (
        "checkpoint 000020, checkpoint 000040, checkpoint 000060 could not be published to /mnt/place: "
        "ZeroDivisionError: surprise"
    )
    assert select(Note, messages)[-1] == Note(level="error", text=sentence)
    assert [event.step for event in select(Published, messages)] == [20, 40, 60]


def test_what_cannot_work_is_not_tried_again(publishing, save_checkpoint, messages):
    tries = []

    def act(sealed, is_cancelled):
        tries.append(sealed)
        raise PermanentError("it is a link")

    made = publishing(FakeDestination(act))
    made.add(save_checkpoint(20))
    assert made.drain(StopSignal()) == ["checkpoint 000020 could not be published to /mnt/place: it is a link"]
    assert len(tries) == 1
    assert select(Note, messages)[0].text == "checkpoint 000020 is not published to /mnt/place: it is a link"


def test_pauses_grow_to_a_limit_and_the_last_tries_are_few(monkeypatch):
    monkeypatch.undo()  # the real pauses
    pauses: list[float] = []
    seen = threading.Event()

    def wait_for(condition, predicate, timeout=None):
        if timeout is not None:
            pauses.append(timeout)
            if len(pauses) < 10:
                return predicate()
            seen.set()
        while not predicate():
            condition.wait(1)
        return True

    def fail(item, is_cancelled):
        raise OSError("no")

    monkeypatch.setattr(threading.Condition, "wait_for", wait_for)
    queue = RetryQueue(fail, lambda *trouble: None)
    queue.add("a")
    assert seen.wait(WAIT_SECONDS)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    pauses.clear()
    queue.finish()  # which ends a pause
    queue.join(WAIT_SECONDS)
    assert pauses == [1, 2, 4, 8, 16]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_artifact_whose_thread_died_is_reported(publishing, save_checkpoint, messages):
    made = publishing(FakeDestination(fail_with(KeyboardInterrupt)))
    made.add(save_checkpoint(20))
    (sentence,) = made.drain(StopSignal())
    assert sentence.startswith("checkpoint 000020 could not be published to /mnt/place")


def test_a_failing_destination_that_is_optional_is_not_waited_for(publishing, save_checkpoint, messages, monkeypatch):
    monkeypatch.setattr(publisher, "OPTIONAL_SECONDS", 0.1)
    monkeypatch.setattr(publisher, "LAST_PAUSES", (600.0,))

    made = publishing(FakeDestination(fail_with(OSError("the server is away")), name="tracking", is_required=False))
    made.add(save_checkpoint(20))
    assert made.drain(StopSignal()) == []
    text = "checkpoint 000020 could not be published to tracking: the server is away"
    assert select(Note, messages)[-1] == Note(level="warning", text=text)


def test_a_long_wait_for_publishing_is_reported(publishing, save_checkpoint, messages, monkeypatch):
    monkeypatch.setattr(publisher, "REPORT_SECONDS", 0.05)
    let = threading.Event()
    made = publishing(FakeDestination(lambda sealed, is_cancelled: let.wait(WAIT_SECONDS)))
    made.add(save_checkpoint(20))

    def watch() -> None:
        while not select(Note, messages):
            time.sleep(0.01)
        let.set()

    threading.Thread(target=watch, daemon=True).start()
    assert made.drain(StopSignal()) == []
    assert Note(level="info", text="still publishing: checkpoint 000020") in messages


def test_a_second_stop_leaves_no_time(publishing, save_checkpoint, messages):
    begun = threading.Event()

    def act(sealed, is_cancelled):
        begun.set()
        while not is_cancelled():
            time.sleep(0.01)
        raise Cancelled

    made = publishing(FakeDestination(act))
    made.add(save_checkpoint(20))
    assert begun.wait(WAIT_SECONDS)
    stop = StopSignal()
    stop.number, stop.count = 15, 2
    (sentence,) = made.drain(stop)
    assert sentence == "checkpoint 000020 could not be published to /mnt/place: there was no time left"
    assert select(Published, messages) == []


def test_results_are_delivered_once_in_a_folder_of_the_runs_name_and_are_no_checkpoint(
    publishing, save_results, messages
):
    seen = []
    made = publishing(
        FakeDestination(lambda sealed, is_cancelled: seen.append((sealed, sorted(os.listdir(sealed.folder)))))
    )
    for _ in range(2):
        made.add(save_results)
    assert made.drain(StopSignal()) == []
    ((sealed, files),) = seen
    assert (sealed.folder.name, files) == ("pretend-1", ["eval_results.json", checkpoint.MANIFEST])
    assert (sealed.manifest.run, sealed.manifest.step) == ("pretend-1", 400)
    assert [event.to for event in select(Delivered, messages)] == ["/mnt/place/pretend-1"]
    assert select(Published, messages) == []
    assert not sealed.folder.exists()  # what was on its way has arrived
    assert checkpoint.MANIFEST not in os.listdir(save_results.results)


def test_the_evaluated_policy_goes_only_where_models_go(publishing, save_results, messages):
    seen = []
    tracking = FakeDestination(
        lambda sealed, is_cancelled: seen.append(sealed), name="runs:/x", accepted_kinds=COPIED_KINDS | {"policy"}
    )
    made = publishing(tracking, FakeDestination())
    made.add(save_results)
    assert made.drain(StopSignal()) == []
    assert [sealed.kind for sealed in seen] == ["results", "policy"]
    assert {event.to for event in select(Delivered, messages)} == {"runs:/x/pretend-1", "/mnt/place/pretend-1"}
    digest = checkpoint.combine_digests(checkpoint.hash_files(Path(save_results.policy)))
    assert [event.tags for event in select(Track, messages)] == [
        {"model_sha256": digest},
        {"policy_artifact": "000400"},
    ]
    assert os.listdir(save_results.policy) == ["config.json"]


def test_what_was_delivered_before_is_told_again_only_where_it_is_new(publishing, save_results, messages):
    class ExistingCopy(FakeDestination):
        def publish(self, sealed, is_cancelled) -> PublishedCopy:
            return super().publish(sealed, is_cancelled)._replace(is_new=False)

    earlier = EarlierAttempts(evaluated=save_results, delivered=frozenset({"/mnt/told/pretend-1"}))
    places = [ExistingCopy(name=f"/mnt/{name}") for name in ("told", "untold")]
    made = publishing(*places, earlier=earlier)
    made.add(save_results)
    assert made.drain(StopSignal()) == []
    assert [event.to for event in select(Delivered, messages)] == ["/mnt/untold/pretend-1"]


def test_results_that_could_not_be_delivered_are_told_by_name(publishing, save_results, messages):
    made = publishing(FakeDestination(fail_with(OSError("the disk is full"))), FakeDestination(name="/mnt/fine"))
    made.add(save_results)
    assert made.drain(StopSignal()) == ["the results folder could not be published to /mnt/place: the disk is full"]
    assert [event.to for event in select(Delivered, messages)] == ["/mnt/fine/pretend-1"]


@pytest.mark.parametrize(("there", "reason"), [(False, "it does not exist"), (True, "{} holds no files")])
def test_missing_or_empty_results_are_reported(publishing, save_results, there, reason):
    shutil.rmtree(save_results.results)
    if there:
        Path(save_results.results).mkdir()
    made = publishing(FakeDestination())
    made.add(save_results)
    assert made.drain(StopSignal()) == [
        f"the results folder could not be sealed: {reason.format(save_results.results)}"
    ]


def discard(made, *events: Checkpoint) -> None:
    for event in events:
        made.add_record(make_record(Discarded(step=event.step, path=event.path)))


def wait_until(condition) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_only_a_checkpoint_of_the_run_is_removed(publishing, save_checkpoint, tmp_path):
    made, saved = publishing(FakeDestination()), [save_checkpoint(step) for step in (20, 40)]
    for saved_checkpoint in saved:
        made.add(saved_checkpoint)
    other = tmp_path / "checkpoints" / "notes"
    other.mkdir()
    (tmp_path / "checkpoints" / "link").symlink_to(saved[0].path)
    paths = (tmp_path, other, tmp_path / "checkpoints" / "link", saved[0].path)
    discard(made, *(Checkpoint(step=20, path=str(path)) for path in paths))
    assert made.drain(StopSignal()) == []
    wait_until(lambda: not Path(saved[0].path).exists())
    assert other.is_dir()
    assert Path(saved[1].path).is_dir()


def test_a_discarded_checkpoint_is_removed_once_it_is_published_everywhere(publishing, save_checkpoint):
    let = threading.Event()
    slow = FakeDestination(lambda sealed, is_cancelled: let.wait(WAIT_SECONDS), name="/mnt/slow")
    quick = FakeDestination(name="/mnt/quick")
    made, saved = publishing(slow, quick), [save_checkpoint(step) for step in (20, 40, 60)]
    for saved_checkpoint in saved:
        made.add(saved_checkpoint)
    wait_until(lambda: len(quick.came) == 3)
    discard(made, *saved[:2])
    time.sleep(0.1)
    assert all(Path(saved_checkpoint.path).is_dir() for saved_checkpoint in saved)
    let.set()
    assert made.drain(StopSignal()) == []
    assert slow.came == ["000020", "000040", "000060"]
    wait_until(lambda: [Path(saved_checkpoint.path).is_dir() for saved_checkpoint in saved] == [False, False, True])


def test_a_discarded_checkpoint_stays_while_a_newer_one_is_not_sealed(publishing, save_checkpoint, monkeypatch):
    let, seal = threading.Event(), checkpoint.seal_checkpoint

    def seal_slowly(folder, **kwargs):
        if folder.name == "000040":
            let.wait(WAIT_SECONDS)
        return seal(folder, **kwargs)

    monkeypatch.setattr(checkpoint, "seal_checkpoint", seal_slowly)
    place = FakeDestination()
    made, saved = publishing(place), [save_checkpoint(step) for step in (20, 40)]
    for saved_checkpoint in saved:
        made.add(saved_checkpoint)
    wait_until(lambda: place.came == ["000020"])
    discard(made, saved[0])
    time.sleep(0.1)
    assert Path(saved[0].path).is_dir()
    let.set()
    wait_until(lambda: not Path(saved[0].path).exists())
    assert made.drain(StopSignal()) == []


def test_an_optional_destination_that_fails_does_not_hold_discarded_checkpoints(publishing, save_checkpoint):
    def fail(sealed, is_cancelled):
        raise OSError("no answer")

    made = publishing(FakeDestination(fail, is_required=False), FakeDestination(name="/mnt/other"))
    saved = [save_checkpoint(step) for step in (20, 40)]
    for saved_checkpoint in saved:
        made.add(saved_checkpoint)
    wait_until(lambda: made._queues[0][1].failures and made.is_complete)
    discard(made, saved[0])
    wait_until(lambda: not Path(saved[0].path).exists())
    made.drain(StopSignal())


def test_a_checkpoint_that_is_saved_again_is_published_as_it_is_now(publishing, save_checkpoint, tmp_path):
    let, texts = threading.Event(), []

    def act(sealed, is_cancelled):
        let.wait(WAIT_SECONDS)
        if reason := checkpoint.validate_checkpoint(sealed.folder):
            raise PermanentError(reason)
        if sealed.manifest.digest != checkpoint.read_manifest(sealed.folder).digest:
            raise PermanentError("it is another one")
        texts.append((sealed.folder / "weights").read_text())

    made, saved = publishing(FakeDestination(act)), save_checkpoint(20)
    made.add(saved)
    wait_until(lambda: made.is_complete)
    (Path(saved.path) / "weights").write_text("again")
    made.add(saved)
    wait_until(lambda: made.is_complete)
    let.set()
    assert made.drain(StopSignal()) == []
    assert texts == ["again"]
