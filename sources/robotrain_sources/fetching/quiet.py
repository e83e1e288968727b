"""Libraries that ask services: they log nothing, and a stop does not wait for them."""

import logging
from collections.abc import Callable
from typing import TypeVar

from robotrain_runtime.contract.deadline import DeadlineFuture
from robotrain_runtime.contract.failure import CancelCheck, Cancelled

LIBRARIES = ("azure", "huggingface_hub", "msal", "httpx", "urllib3", "stamina")
POLL_SECONDS = 0.05

T = TypeVar("T")


def silence_libraries() -> None:
    """Keep libraries from logging: findings and failures carry what they report, without secrets."""
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def call_cancellable(call: Callable[[], T], is_cancelled: CancelCheck) -> T:
    """Return what a call returns, which goes on in its thread after Cancelled. Raise what it raises, and Cancelled."""
    future = DeadlineFuture(call)
    while future.is_running(POLL_SECONDS):
        if is_cancelled():
            raise Cancelled
    return future.result()
