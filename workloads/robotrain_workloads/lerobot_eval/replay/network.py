"""Whether a policy's network ran for an action, or the action had been planned with an earlier one.

Policies keep their plans each in a way of its own; but none computes without a module of PyTorch.
"""

import importlib
from typing import Any


class Network:
    """ran: whether any module ran since it was watched last. It is asked once, so that it costs the rest nothing."""

    def __init__(self) -> None:
        self.ran = False
        self._hooks: Any = importlib.import_module("torch.nn.modules.module")
        self._hook: Any = None

    def watch(self) -> None:
        """From now on."""
        self.leave()
        self.ran = False
        self._hook = self._hooks.register_module_forward_pre_hook(self._saw)

    def leave(self) -> None:
        """Nothing is watched any more."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _saw(self, module: object, given: object) -> None:
        self.ran = True
        self.leave()
