"""Which files of a repository are fetched: weights as safetensors, which cannot run code when they are loaded."""

from collections.abc import Iterable

from robotrain_sources.fetching import names

PICKLED = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
SAFE = ".safetensors"


def wanted(known: Iterable[str]) -> list[str]:
    """The names to fetch: all, without pickled weights where there are safe ones."""
    kept = sorted(name for name in known if not names.is_debris(name))
    if any(name.endswith(SAFE) for name in kept):
        return [name for name in kept if not name.endswith(PICKLED)]
    return kept
