"""What is installed, by its name as a word of a command: completed, and looked up."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.app import plugins_of

if TYPE_CHECKING:
    from robotrain.provenance import Origin


def beginning(family: str) -> Callable[[typer.Context, str], list[str]]:
    """Completes the names of what is installed."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        return [name for name in plugins_of(ctx).names(family) if name.startswith(incomplete)]

    return complete


def one(plugins: Any, family: str, name: str, origin: "Origin") -> Any:
    """The workload or the platform of a name. Raises Rejected, with the nearest that there is."""
    from robotrain.cli.job import usage
    from robotrain.plugins import PluginError
    from robotrain.problem import Rejected

    try:
        return getattr(plugins, family)(name)
    except PluginError as error:
        raise Rejected([usage.not_loaded(family, name, error, plugins, origin)]) from None
