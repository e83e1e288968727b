"""What LeRobot is told of the Hub: nothing of what is done with it, and to stay away where everything lies here."""

from collections.abc import Iterable

from robotrain_runtime.document import Source

QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_COLOR": "1"}
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def environ(sources: Iterable[Source]) -> dict[str, str]:
    """Names of the environment for a job with these sources."""
    local = all(source.kind == "local_path" for source in sources)
    return {**QUIET, **(OFFLINE if local else {})}
