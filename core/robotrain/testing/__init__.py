"""Conformance kits for plugin authors: a base class of tests for each kind of plugin.

The kits need pytest: install `robotrain-core[testing]`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robotrain.testing.platform_bench import World
    from robotrain.testing.platform_kit import PlatformKit
    from robotrain.testing.source_kit import Served, SourceKit
    from robotrain.testing.workload_kit import WorkloadKit

__all__ = ["PlatformKit", "Served", "SourceKit", "WorkloadKit", "World"]


def __getattr__(name: str) -> Any:
    """Return a public name, importing its module on first use."""
    import importlib

    for module in ("platform_bench", "platform_kit", "source_kit", "workload_kit") if name in __all__ else ():
        try:
            found = vars(importlib.import_module(f"{__name__}.{module}"))
        except ModuleNotFoundError as missing:
            raise ModuleNotFoundError(f"{missing}: install robotrain-core[testing]", name=missing.name) from missing
        if name in found:
            return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
