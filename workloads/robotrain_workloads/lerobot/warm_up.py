"""A launcher that gets ready while data is fetched, before its arguments are known. Standard library only."""

import json
import select
import sys
from collections.abc import Callable, Sequence

TAKE_OVER, CHECK_ONLY = "--warm-up", "--check-only"
"""First arguments of a launcher that then works itself, and of one that another follows. Options to check follow."""

LOADING = "loading LeRobot and PyTorch"


def wait_for_arguments(arguments: Sequence[str], get_ready: Callable[[Sequence[str]], None]) -> Sequence[str]:
    """Return the launcher's arguments once the data is there: those it has, unless it was started to get ready.

    `get_ready` is called meanwhile, with the options to check. Raise SystemExit if that is all there is to do.
    """
    if arguments[0] not in (TAKE_OVER, CHECK_ONLY):
        return arguments
    if not select.select([sys.stdin], [], [], 0)[0]:
        if arguments[0] == TAKE_OVER:
            print(LOADING, flush=True)
        try:
            get_ready(arguments[1:])
        except Exception as error:  # the work says better what is wrong, if anything is
            print(f"the options were not checked in advance: {type(error).__name__}: {error}", flush=True)
    if arguments[0] == CHECK_ONLY:
        raise SystemExit(0)
    line = sys.stdin.readline()
    if not line:  # the runtime ended
        raise SystemExit(1)
    _, _, *work = json.loads(line)  # -m MODULE
    return [str(argument) for argument in work]
