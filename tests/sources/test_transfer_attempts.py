"""What is asked again, for how long, and whose fault it is in the end."""

import asyncio
from types import SimpleNamespace

import pytest
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer.origin import SourceFile, TransferTimeouts
from robotrain_sources.transfer.requests import ProgressMeter, RequestLimiter, RetryPolicy

QUICK = TransferTimeouts(giving_up=0.05, first=0.001, longest=0.002)
PATIENT = TransferTimeouts(giving_up=5.0, first=0.001, longest=0.002)


class BaseError(Exception):
    """As obstore's are named."""


class UnauthenticatedError(BaseError):
    pass


class GenericError(BaseError):
    pass


def count_attempts(errors, whose: str, patience: TransferTimeouts) -> tuple[int, "str | FetchError"]:
    """How often a file is asked for that fails so, or comes when no error is left; and what came of it."""
    times = 0

    async def act() -> str:
        nonlocal times
        times += 1
        if error := next(errors, None):
            raise error
        return "the file"

    async def run() -> str:
        attempts = RetryPolicy(patience, RequestLimiter(1), ProgressMeter(0, 1, lambda *far: None))
        part = SimpleNamespace(
            name="the data", origin=SimpleNamespace(explain_error=lambda error: FetchError("no", whose))
        )
        return await attempts.retry(part, SourceFile(name="a", size=1), act)

    try:
        came = asyncio.run(run())
    except FetchError as refused:
        return times, refused
    return times, came


def repeat_error(error: Exception):
    while True:
        yield error


def test_what_is_wrong_with_the_sign_in_is_not_waited_for():
    times, refused = count_attempts(repeat_error(GenericError("the SAS has ended")), "configuration", PATIENT)
    assert (times, str(refused), refused.fault) == (1, "no", "configuration")


def test_a_token_that_has_just_run_out_is_asked_with_once_more():
    assert count_attempts(iter([UnauthenticatedError("401")]), "configuration", PATIENT) == (2, "the file")
    times, refused = count_attempts(repeat_error(UnauthenticatedError("401")), "configuration", PATIENT)
    assert (times, refused.fault) == (2, "configuration")


def test_what_may_pass_is_waited_for_until_nothing_has_come_for_too_long():
    times, refused = count_attempts(repeat_error(GenericError("503")), "network", QUICK)
    assert (str(refused).startswith("no data for"), refused.fault) == (True, "network")
    assert times > 1


def test_giving_up_at_once_on_an_unknown_identity_still_says_that_it_is_one():
    hasty = TransferTimeouts(giving_up=-1.0)
    times, refused = count_attempts(repeat_error(UnauthenticatedError("401")), "configuration", hasty)
    assert (times, refused.fault) == (1, "configuration")


def test_no_memory_is_not_waited_for():
    with pytest.raises(MemoryError):
        count_attempts(repeat_error(MemoryError()), "network", PATIENT)
