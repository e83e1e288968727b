"""A command that a plugin brings: a Typer app, under a name that robotrain itself does not have."""

from typing import TYPE_CHECKING, Any

from robotrain.loading.ways import Unsuitable

if TYPE_CHECKING:
    from robotrain.claims import Claim


def must_be_one(loaded: Any, claim: "Claim") -> None:
    """Raises Unsuitable for what is none."""
    import typer

    from robotrain.cli.commands import COMMANDS

    if not isinstance(loaded, typer.Typer):
        raise Unsuitable(f"{claim.point.value} is a {type(loaded).__name__}, and a typer.Typer is due")
    if claim.name in COMMANDS:
        raise Unsuitable(f"robotrain itself has a command {claim.name}")
