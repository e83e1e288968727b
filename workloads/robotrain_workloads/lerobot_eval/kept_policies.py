"""The policies of a comparison, which stay loaded from round to round while there is room."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval import evaluated_parts
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest

Load = Callable[[EvaluationRequest], LoadedPolicy]


class KeptPolicies:
    """Loads each policy once; again only if the GPU had no room for all of them."""

    def __init__(self, load: Load) -> None:
        """Keep what `load` returns."""
        self._load, self._kept = load, dict[Path | None, LoadedPolicy]()

    def __call__(self, request: EvaluationRequest) -> LoadedPolicy:
        """Return the policy of a request."""
        folder = request.policy.folder
        if folder not in self._kept:
            if not _has_room():
                self._kept.clear()
                evaluated_parts.free_memory()
            self._kept[folder] = self._load(request)
        return self._kept[folder]


def _has_room() -> bool:
    """Return whether half of the GPU is free: as much as a policy may need in all."""
    torch: Any = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return True
    free, total = torch.cuda.mem_get_info()
    return bool(2 * free > total)
