"""What acts in the container for a model of a workspace, on a platform that does not bring it itself."""

from collections.abc import Iterable, Mapping

from robotrain_runtime.document import Source

KIND = "model_asset"
HALVES = {f"source.{KIND}": "robotrain_azure.models.container"}


def halves(sources: Iterable[Source]) -> Mapping[str, str]:
    """As a job document names it; nothing for a job without such a model."""
    return HALVES if any(source.kind == KIND for source in sources) else {}
