"""Something done until it worked, in a thread that nothing ends but its own end."""

import threading

import pytest
from robotrain_runtime.contract.failure import Cancelled, PermanentError
from robotrain_runtime.publishing import publisher
from robotrain_runtime.publishing.publisher import RetryQueue

SOON = 20.0


@pytest.fixture
def quick(monkeypatch):
    """Pauses that a test need not wait for."""
    monkeypatch.setattr(publisher, "LONGEST_PAUSE", 0.001)
    monkeypatch.setattr(publisher, "LAST_PAUSES", (0.001, 0.001))


class Carrier:
    """Does as it is told: a plan holds what each try does, for each item."""

    def __init__(self, **plan) -> None:
        self.plan = {name: list(tries) for name, tries in plan.items()}
        self.done: list[str] = []
        self.tries = 0
        self.told: list[tuple[str, str, bool]] = []

    def __call__(self, item: str, halted) -> None:
        self.tries += 1
        todo = self.plan.get(item)
        if todo and (error := todo.pop(0) if len(todo) > 1 else todo[0]):
            raise error
        self.done.append(item)


def carried(carrier: Carrier, *items: str) -> RetryQueue[str]:
    courier = RetryQueue(carrier, lambda *trouble: carrier.told.append(trouble))
    for item in items:
        courier.add(item)
    courier.finish()
    courier.join(SOON)
    assert not courier.is_busy
    return courier


def test_everything_is_done_in_order():
    carrier = Carrier()
    assert carried(carrier, "a", "b", "c").unfinished == []
    assert carrier.done == ["a", "b", "c"]


def test_h1_09_what_failed_is_tried_again_until_it_works(quick):
    carrier = Carrier(a=[OSError("full"), OSError("full"), None], b=[OSError("again"), None])
    assert carried(carrier, "a", "b").unfinished == []
    assert carrier.done == ["a", "b"]
    assert carrier.told == [("a", "full", True), ("b", "again", True)]


def test_h1_09_what_never_works_is_left_with_its_reason(quick):
    carrier = Carrier(a=[OSError(28, "No space left on device", "/mnt/x")])
    left = carried(carrier, "a", "b").unfinished
    assert left == [("a", "No space left on device: /mnt/x")]
    assert carrier.done == ["b"]
    assert carrier.told == [("a", "No space left on device: /mnt/x", True)]


def test_what_cannot_work_is_not_tried_again():
    carrier = Carrier(a=[PermanentError("it is a link")])
    assert carried(carrier, "a", "b").unfinished == [("a", "it is a link")]
    assert carrier.tries == 2
    assert carrier.told == [("a", "it is a link", False)]


def test_no_exception_ends_it_silently(quick):
    carrier = Carrier(a=[KeyError("what")], b=[RuntimeError("first\nsecond")])
    assert carried(carrier, "a", "b", "c").unfinished == [("a", "KeyError: 'what'"), ("b", "RuntimeError: first")]
    assert carrier.done == ["c"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_even_one_that_dies_says_what_it_left():
    carrier = Carrier(a=[SystemExit(3)])
    assert [item for item, _ in carried(carrier, "a", "b").unfinished] == ["a", "b"]


def test_pauses_grow_to_a_limit_and_the_last_tries_are_few(monkeypatch):
    pauses: list[float] = []
    seen = threading.Event()

    def wait_for(condition, predicate, timeout=None):
        if timeout is None:
            while not predicate():
                condition.wait(1)
            return True
        pauses.append(timeout)
        if len(pauses) >= 10:
            seen.set()
            while not predicate():
                condition.wait(1)
        return predicate()

    monkeypatch.setattr(threading.Condition, "wait_for", wait_for)
    courier = RetryQueue(Carrier(a=[OSError("no")]), lambda *trouble: None)
    courier.add("a")
    assert seen.wait(SOON)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    pauses.clear()
    courier.finish()
    courier.join(SOON)
    assert pauses == [1, 2, 4, 8, 16]


def test_the_end_does_not_wait_for_a_pause():
    failed = threading.Event()
    carrier = Carrier(a=[OSError("no"), None])
    courier = RetryQueue(carrier, lambda *trouble: failed.set())
    courier._failures = 100  # the next pause is the longest
    courier.add("a")
    while carrier.tries == 0:
        failed.wait(0.01)
    courier.finish()
    courier.join(SOON)
    assert carrier.done == ["a"]


def test_it_can_be_broken_off_in_the_middle():
    begun = threading.Event()

    def carry(item, halted):
        begun.set()
        while not halted():
            threading.Event().wait(0.01)
        raise Cancelled

    courier = RetryQueue(carry, lambda *trouble: None)
    courier.add("a")
    courier.add("b")
    assert begun.wait(SOON)
    courier.finish(cancel=True)
    courier.join(SOON)
    assert not courier.is_busy
    assert courier.unfinished == [("a", "there was no time left"), ("b", "there was no time left")]
