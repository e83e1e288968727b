"""What lies at a storage URL, as `osmo data list` tells: the paths below it. It tells no sizes."""

import re

from robotrain.problem import Stage

from robotrain_osmo.cli import asking
from robotrain_osmo.cli.refusals import Refusal, Refused

SECONDS = 300.0
LEAST_FILES_A_SECOND = 200
"""A list of very many files takes as long as its pages do."""
_TOTAL = r"^Total (\d+) objects found\s*\Z"
_PREFIX = r"(?:(?:s3|gs)://[^/]+|(?:azure|tos)://[^/]+/[^/]+|swift://[^/]+/[^/]+/[^/]+)/(.*)"
_NOT_TOLD = Refusal(
    code="osmo-storage-silent", title="`osmo data list` did not say how much there is", why="It ended without a sum."
)


def below(cli: str, url: str, stage: Stage, seconds: float) -> set[str]:
    """The paths of all objects below `url`; of `url` itself when it is one object: its name. Raises Refused."""
    text = asking.said(cli, "data", "list", url, "-r", "--no-pager", seconds=seconds, stage=stage)
    total = re.search(_TOTAL, text, re.MULTILINE)
    if total is None:
        raise Refused(_NOT_TOLD, stage)
    keys = [line for line in text[: total.start()].splitlines() if line.strip()]
    folder = _folder(url)
    return {key.removeprefix(folder) if key.startswith(folder) else key.rpartition("/")[2] for key in keys}


def is_empty(cli: str, url: str, seconds: float) -> bool:
    """Whether nothing lies at `url`. Raises Refused."""
    text = asking.said(cli, "data", "list", url, "--no-pager", seconds=seconds, stage=Stage.PREFLIGHT)
    total = re.search(_TOTAL, text, re.MULTILINE)
    if total is None:
        raise Refused(_NOT_TOLD, Stage.PREFLIGHT)
    return int(total[1]) == 0


def _folder(url: str) -> str:
    """The part of each key that is the URL's."""
    found = re.fullmatch(_PREFIX, url.rstrip("/"))
    return f"{found[1]}/" if found and found[1] else ""
