"""The folder that the runtime works in, for platforms that see it from here: the log, how the run ended, what it left.

`Placement.work` names it; a platform that lets the log be `log.txt` and the document `job.json` in it has them among
its outputs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robotrain.run_folder.creation import create_run_folder, find_creation_problems, has_plan_files
    from robotrain.run_folder.log import read_evaluation, read_log_lines, read_outcome
    from robotrain.run_folder.outputs import download_output, list_outputs
    from robotrain.run_folder.status import RunFolderPlatform, RunOwner, find_owner, get_run_status, require_run_folder

__all__ = [
    "RunFolderPlatform",
    "RunOwner",
    "create_run_folder",
    "download_output",
    "find_creation_problems",
    "find_owner",
    "get_run_status",
    "has_plan_files",
    "list_outputs",
    "read_evaluation",
    "read_log_lines",
    "read_outcome",
    "require_run_folder",
]

_MODULES = {
    **dict.fromkeys(("create_run_folder", "find_creation_problems", "has_plan_files"), "creation"),
    **dict.fromkeys(("read_evaluation", "read_log_lines", "read_outcome"), "log"),
    **dict.fromkeys(("download_output", "list_outputs"), "outputs"),
    **dict.fromkeys(("RunFolderPlatform", "RunOwner", "find_owner", "get_run_status", "require_run_folder"), "status"),
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for: who asks how a run is needs nothing that copies."""
    if name not in _MODULES:
        raise AttributeError(f"module 'robotrain.run_folder' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"robotrain.run_folder.{_MODULES[name]}"), name)
