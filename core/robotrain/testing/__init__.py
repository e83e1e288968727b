"""What authors test their plugins with: a kit for each thing a plugin brings, as a class to derive a test class from.

The kits need pytest: install `robotrain-core[testing]`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robotrain.testing.bench import World
    from robotrain.testing.platform_kit import PlatformKit
    from robotrain.testing.source_kit import Served, SourceKit
    from robotrain.testing.workload_kit import WorkloadKit

__all__ = ["PlatformKit", "Served", "SourceKit", "WorkloadKit", "World"]

_MODULES = {
    "PlatformKit": "platform_kit",
    "Served": "source_kit",
    "SourceKit": "source_kit",
    "WorkloadKit": "workload_kit",
    "World": "bench",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for; pytest then says what the two sides of a failed test were."""
    if name not in _MODULES:
        raise AttributeError(f"module 'robotrain.testing' has no attribute {name!r}")
    import importlib
    import sys
    from pathlib import Path

    try:
        import pytest
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("the kits need pytest: install robotrain-core[testing]", name="pytest") from missing
    modules = {f"{__name__}.{path.stem}" for path in Path(__file__).parent.glob("[a-z]*.py")}
    pytest.register_assert_rewrite(*(modules - {*sys.modules}))
    return getattr(importlib.import_module(f"robotrain.testing.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
