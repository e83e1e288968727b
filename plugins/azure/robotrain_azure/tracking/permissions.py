"""What an identity may do in a workspace, as Azure adds it up: the look that a missing role does not pass."""

import fnmatch
import os
from collections.abc import Iterator, Mapping
from typing import Any

from robotrain_runtime.finding import Finding

from robotrain_azure.arm import Arm, ArmError
from robotrain_azure.refusal import ROLE, role_line
from robotrain_azure.workspace import Workspace

VERSION = "2022-04-01"
TRACKING = tuple(f"Microsoft.MachineLearningServices/workspaces/{what}/write" for what in ("jobs", "experiments/runs"))
"""What Azure's pages name for tracking, today's and yesterday's: a role of one's own may allow either."""


def findings(arm: Arm, at: Workspace) -> Iterator[Finding]:
    """That it may not track there; nothing where Azure does not tell what it may."""
    try:
        granted = list(arm.all(f"{at.resource}/providers/Microsoft.Authorization/permissions", VERSION))
    except ArmError:
        return
    if not any(allows(one, action) for one in granted for action in TRACKING):
        yield Finding(
            code="tracking-refused",
            title=f"the job's identity may read the Azure ML workspace {at.name}, and may not write runs there",
            given=at.tracking_uri,
            why="Azure adds up what its roles allow there, and that is not among it.",
            ways=(role_line(os.environ.get("AZURE_CLIENT_ID") or "OBJECT-ID", ROLE, at.resource),),
        )


def allows(role: Mapping[str, Any], action: str, does: str = "actions", but: str = "notActions") -> bool:
    """Whether a part of a role allows an action: wildcards stand for any text, and case does not count.

    does, but: the names of its lists.
    """
    return _among(role.get(does), action) and not _among(role.get(but), action)


def _among(patterns: Any, action: str) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), str(pattern).lower()) for pattern in patterns or ())
