"""A checkpoint at a blob URL, brought to this machine with robotrain's own transfer and this machine's sign-in."""

import contextlib
import importlib
import shutil
import sys
from pathlib import Path


def bring(kind: str, uri: str, to: Path) -> None:
    """Copy it into the folder `to`. kind: the source kind that reads it. What came stays in the cache for the next
    time. Raises robotrain_runtime.failure.Failed, whose reason may hold what must not be shown, and OSError.
    """
    from robotrain import folders
    from robotrain.plugins import Plugins
    from robotrain_runtime import halves
    from robotrain_runtime.document import Source
    from robotrain_runtime.environments import environment
    from robotrain_runtime.failure import Failed
    from robotrain_runtime.half import Place
    from robotrain_runtime.stop import Stop

    source = Source(role="resume", kind=kind, uri=uri)
    half = importlib.import_module(Plugins().source_kinds()[source.kind].half)
    carrier, cache = halves.load_carrier(halves.carrier(half)), folders.cache()
    wanted = carrier.ENVIRONMENT
    built = environment.build(wanted.lock, wanted.python, cache, _narrate, Stop())
    place = Place(cache=cache, python=environment.python_of(built), say=_narrate)
    with contextlib.closing(carrier.deliver([source], {source.kind: half}, place, {})) as delivery:
        (found,) = delivery.survey()
        if found.wrong:
            raise Failed("; ".join(sentence.replace("\n", ": ") for sentence in found.wrong))
        shutil.copytree(delivery.fetch(lambda far: None)[source], to, dirs_exist_ok=True)


def _narrate(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
