"""Calls of functions on login nodes: one connection for a command, which is opened by its first call.

A stream of lines has the connection alone until it ends; another call meanwhile opens one more.
"""

import atexit
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from robotrain.errors import Problem, Rejected, Unanswered
from robotrain.model.run import RunGone

from robotrain_slurm.login import reach
from robotrain_slurm.login.address import is_address
from robotrain_slurm.login.connection import Connection, LineLost
from robotrain_slurm.login.ssh_failures import make_lost_problem, make_rejection, make_silence_error

THIS_MACHINE = "this machine"
COMMANDS = ("rm", "chmod", "pgrep", "scontrol", "sinfo", "sacctmgr", "squeue", "scancel", "sbatch", "munge")
"""What suggestions of a login node begin with that are typed there."""
FAILURE_SECONDS = 10.0
"""How long a login node that did not answer is not asked again."""


class _Pool:
    """The connections of this process to one login node."""

    def __init__(self, login: str) -> None:
        self.login = login
        self.lock = threading.RLock()
        self._free: Connection | None = None
        self._failure: tuple[float, Rejected] | None = None
        """When the login node last did not answer, and the error."""

    def borrow(self) -> Connection:
        """Return a connection that nobody else uses. Raise Rejected."""
        self.raise_failure()
        with self.lock:
            free, self._free = self._free, None
        if free:
            return free
        try:
            return Connection(self.login)
        except Rejected as rejected:
            if rejected.transient:
                self.keep_failure(rejected)
            raise

    def keep_failure(self, rejected: Rejected) -> None:
        """Keep why the login node did not answer, for those who ask it soon."""
        self._failure = (time.monotonic(), rejected)

    def raise_failure(self) -> None:
        """Raise the error of a login node that did not answer a moment ago."""
        if self._failure and time.monotonic() < self._failure[0] + FAILURE_SECONDS:
            raise Rejected(self._failure[1].problems, transient=True)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next call, or close it."""
        with self.lock:
            if self._free is None and not connection.is_at_work:
                self._free = connection
                return
        connection.close()

    def close(self) -> None:
        """Close the connection that is free, and forget a failure."""
        self._failure = None
        if not self.lock.acquire(blocking=False):  # a call that nobody waits for any more has it
            return
        free, self._free = self._free, None
        self.lock.release()
        if free:
            free.close()


_pools: dict[str, _Pool] = {}
_pools_lock = threading.Lock()


@atexit.register
def close_connections() -> None:
    """Close the connections that are free, and forget which login nodes did not answer."""
    for pool in _pools.values():
        pool.close()


def _get_pool(login: str) -> _Pool:
    if not is_address(login):  # of a record
        raise make_rejection("slurm-login-invalid", "the login node of the run has no valid name", "")
    with _pools_lock:
        return _pools.setdefault(login, _Pool(login))


@contextmanager
def _connected(login: str, *, is_alone: bool = False) -> Iterator[Connection]:
    """Yield a connection. Raise what a call raises, in words for this machine."""
    pool = _get_pool(login)
    pool.raise_failure()  # another thread may still wait for it
    if not is_alone:
        pool.lock.acquire()
    try:
        connection = pool.borrow()
        try:
            yield connection
        except LineLost as lost:
            rejected = Rejected([make_lost_problem(login, str(lost))], transient=True)
            if connection.timed_out:
                pool.keep_failure(rejected)
            raise rejected from None
        except RunGone:
            raise
        except Unanswered as unanswered:
            raise Unanswered(_translate(unanswered.problems, login)) from None
        except Rejected as rejected:
            raise Rejected(_translate(rejected.problems, login), rejected.transient) from None
        finally:
            pool.give_back(connection)
    finally:
        if not is_alone:
            pool.lock.release()


def call(login: str, function: str, *values: Any, **named: Any) -> Any:
    """Return what a function, `MODULE:NAME`, returns on a login node. Raise what it raises, or Rejected."""
    with _connected(login) as connection:
        return connection.call(function, *values, **named)


def stream(login: str, function: str, *values: Any, **named: Any) -> Iterator[Any]:
    """Yield what a generator yields on a login node. Raise what it raises, or Rejected."""
    with _connected(login, is_alone=True) as connection:
        yield from connection.stream(function, *values, **named)


def collect(login: str, function: str, *values: Any, **named: Any) -> list[Any]:
    """Return all that a generator yields on a login node. Raise as `stream`."""
    with _connected(login) as connection:
        return list(connection.stream(function, *values, **named))


def note_silence(login: str, seconds: float) -> Rejected:
    """Return the error of a login node that has not answered in time; other calls raise it, too, for some seconds."""
    silence = make_silence_error(login, seconds)
    _get_pool(login).keep_failure(silence)
    return silence


def find_home(login: str) -> str:
    """Return the user's home folder on a login node. Raise Rejected."""
    with _connected(login) as connection:
        return connection.about.home


def _translate(problems: Sequence[Problem], login: str) -> list[Problem]:
    return [reach.translate_problem(problem, login) for problem in problems]
