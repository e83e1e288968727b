"""Requests of a transfer: what is repeated, and for how long."""

import itertools
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer.origin import SourceFile, TransferTimeouts
from robotrain_sources.transfer.requests import ProgressMeter, RetryRule

PATIENT = TransferTimeouts(giving_up=5.0, first=0.001, longest=0.002)
HASTY = TransferTimeouts(giving_up=0.05, first=0.001, longest=0.002)
AT_ONCE = TransferTimeouts(giving_up=-1.0)


class BaseError(Exception):
    """As obstore's are named."""


class UnauthenticatedError(BaseError):
    pass


class GenericError(BaseError):
    pass


def count_attempts(
    errors: Iterator[Exception], fault: str, timeouts: TransferTimeouts, log_line=lambda line: None
) -> tuple[int, str, str]:
    """How often a file is requested that fails so, or arrives when no error is left; the result, and its fault."""
    origin = SimpleNamespace(explain_error=lambda error: FetchError("no", fault))
    download, meter = SimpleNamespace(name="the data", origin=origin), ProgressMeter(0, 1, lambda *_: None, log_line)
    rule = RetryRule(download=download, entry=SourceFile(name="a", size=1), meter=meter, timeouts=timeouts)
    for attempts in itertools.count(1):
        if not (error := next(errors, None)):
            return attempts, "the file", ""
        if not rule.is_worth_repeating(error):
            break
    refused = rule.explain(error)
    return attempts, str(refused), refused.fault


REFUSED, EXPIRED, BUSY = GenericError("the SAS has ended"), UnauthenticatedError("401"), GenericError("503")


@pytest.mark.parametrize(
    ("errors", "timeouts", "expected"),
    [
        pytest.param(itertools.repeat(REFUSED), PATIENT, (1, "no"), id="a refusal is not repeated"),
        pytest.param(iter([EXPIRED]), PATIENT, (2, "the file"), id="an expired token is renewed"),
        pytest.param(itertools.repeat(EXPIRED), PATIENT, (2, "no"), id="a token is renewed once"),
        pytest.param(itertools.repeat(EXPIRED), AT_ONCE, (1, "no data for"), id="an unknown identity, without time"),
    ],
)
def test_requests_with_a_rejected_identity_are_repeated_once_at_most(errors, timeouts, expected):
    attempts, result, fault = count_attempts(errors, "configuration", timeouts)
    assert (attempts, result[: len(expected[1])]) == expected
    assert result == "the file" or fault == "configuration"


def test_a_busy_service_is_asked_until_nothing_has_arrived_for_too_long():
    attempts, result, fault = count_attempts(itertools.repeat(BUSY), "network", HASTY)
    assert (result.startswith("no data for"), fault) == (True, "network")
    assert attempts > 1


def test_a_lack_of_memory_is_not_waited_for():
    assert count_attempts(itertools.repeat(MemoryError()), "network", PATIENT)[0] == 1


def test_a_repetition_is_announced_and_many_are_with_one_line():
    lines: list[str] = []
    count_attempts(itertools.repeat(BUSY), "network", HASTY, lines.append)
    assert lines == ["requesting a of the data again: no"]


def test_progress_that_is_lost_again_is_none():
    meter = ProgressMeter(0, 100, lambda *_: None, print)
    meter.add_bytes(50)
    gained = meter._last_gain
    for count in (-50, 20, 30):
        meter.add_bytes(count)
    assert meter._last_gain == gained
    meter.add_bytes(1)
    assert meter._last_gain > gained
    again = meter._last_gain
    meter.discard_bytes(51)  # of a file with wrong bytes
    meter.add_bytes(1)
    assert meter._last_gain > again
