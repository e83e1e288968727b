"""A launcher that gets ready while data is fetched, before its arguments are known: it imports LeRobot and PyTorch.

Standard library only.
"""

import contextlib
import gc
import importlib.metadata
import json
import select
import sys
from collections.abc import Callable, Iterator, Sequence

TAKE_OVER, CHECK_ONLY = "--warm-up", "--check-only"
"""First argument of a launcher that gets ready to do the work, and of one that only checks the options after it."""
LOADING = "loading LeRobot and PyTorch, which usually takes less than 30 s"


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
    request_line = sys.stdin.readline()
    if not request_line:  # the runtime ended
        raise SystemExit(1)
    _, _, *work = json.loads(request_line)  # -m MODULE
    return [str(argument) for argument in work]


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Import LeRobot and PyTorch in this block without work whose result nobody uses: a quarter of their CPU time.

    No garbage is collected: there is none, and no later collection goes through 700,000 objects of modules.

    Measured: 0.7 s of 5.2 s of CPU time. diffusers reads the files of every installed distribution, another 0.5 s, to
    know three optional packages whose distribution has another name: policies use none of them.
    """
    original_function = importlib.metadata.packages_distributions
    importlib.metadata.packages_distributions = dict
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        importlib.metadata.packages_distributions = original_function
