"""A checkpoint that OSMO copied, to go on from: its address says which, as a place may hold those of many runs."""

from collections.abc import Iterator

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact
from robotrain_sources.roles import RESUME


def wrong_with(uri: str) -> Iterator[Problem]:
    """Why an address of OSMO's storage names no single checkpoint."""
    if not uri.rpartition("/")[2].isdecimal():
        yield Problem(
            code="osmo-checkpoint-unnamed",
            stage=Stage.RESOLVE,
            title="the address of a checkpoint ends with its step, and this does not",
            where=RESUME.flag,
            given=redact(uri),
            why="OSMO brings all that lies there; below a place to publish to lies `WORKFLOW/checkpoints/STEP`.",
            instead=(
                Instead(f"{RESUME.flag} {uri}/STEP"),
                Instead(f"osmo data list {uri} --no-pager", "shows what is there"),
            ),
        )
