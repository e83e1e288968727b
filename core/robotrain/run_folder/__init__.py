"""The folder that the runtime works in, for platforms that see it from here: the log, how the run ended, what it left.

`Placement.work` names it; a platform that lets the log be `log.txt` and the document `job.json` in it has them among
its outputs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robotrain.run_folder.left import bring, outputs
    from robotrain.run_folder.log import lines
    from robotrain.run_folder.placed import holds, place, wrong_with
    from robotrain.run_folder.seen import Seen, present, status
    from robotrain.run_folder.taken import Taker, taker
    from robotrain.run_folder.told import evaluated, outcome

__all__ = [
    "Seen",
    "Taker",
    "bring",
    "evaluated",
    "holds",
    "lines",
    "outcome",
    "outputs",
    "place",
    "present",
    "status",
    "taker",
    "wrong_with",
]

_LIES_IN = {
    **dict.fromkeys(("bring", "outputs"), "left"),
    **dict.fromkeys(("holds", "place", "wrong_with"), "placed"),
    **dict.fromkeys(("Seen", "present", "status"), "seen"),
    **dict.fromkeys(("Taker", "taker"), "taken"),
    "lines": "log",
    **dict.fromkeys(("evaluated", "outcome"), "told"),
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for: who asks how a run is needs nothing that copies."""
    if name not in _LIES_IN:
        raise AttributeError(f"module 'robotrain.run_folder' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"robotrain.run_folder.{_LIES_IN[name]}"), name)
