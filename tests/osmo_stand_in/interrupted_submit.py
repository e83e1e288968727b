"""A submit that is interrupted at one of its calls of `osmo`, as if it were killed there."""

import contextlib
import subprocess
from collections.abc import Iterator
from unittest import mock


class CutShort(BaseException):
    """Nobody catches it by chance."""


@contextlib.contextmanager
def cut_short(*words: str, answered: bool = False) -> Iterator[None]:
    """Until its end, the first call that begins with these words is the last. answered: when it was made, and its
    answer is not heard; without it, before it is made.
    """
    start = subprocess.Popen.__init__

    def begin(self: "subprocess.Popen[bytes]", command: list[str], **how: object) -> None:
        meant = tuple(command[1 : 1 + len(words)]) == words
        if meant and not answered:
            raise CutShort
        start(self, command, **how)
        if meant:
            self.wait()
            for pipe in (self.stdout, self.stderr):
                if pipe:
                    pipe.close()
            raise CutShort

    with mock.patch.object(subprocess.Popen, "__init__", begin):
        yield
