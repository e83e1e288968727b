"""A locked program: the packages of the user's own program, as its job document has them."""

from dataclasses import dataclass

from robotrain.errors import Problem


@dataclass(frozen=True, kw_only=True)
class LockedProgram:
    """The packages that a workload's locker found for a job."""

    lock: str
    """The requirements, with hashes of the files that fit the job's machine."""
    python: str
    """The version of Python that they are for, such as `3.12`."""
    origin: str
    """What they were locked from, for people: `uv.lock`."""
    summary: str
    """What is in it, for people: `43 packages, Python 3.12`."""
    files: tuple[tuple[str, str], ...] = ()
    """The packages of files that it names, by file name, as a job document has them."""
    notes: tuple[Problem, ...] = ()
    """Warnings and notes."""
