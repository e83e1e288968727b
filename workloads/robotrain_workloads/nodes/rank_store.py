"""What the ranks of several nodes tell one another, without a shared disk: in the store of torchrun's agents."""

import importlib
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

SECONDS = 7200
"""How long a rank waits for what another one announces: it may load its data for long."""
PREFIX = "robotrain"


class RankStore:
    """Texts by name, which all ranks see. Needs PyTorch, and torchrun, which started this process."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        distributed: Any = importlib.import_module("torch.distributed")
        store = distributed.TCPStore(
            environ["MASTER_ADDR"],
            int(environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=SECONDS),
            wait_for_workers=False,
        )
        self._store = distributed.PrefixStore(PREFIX, store)

    def announce(self, name: str, text: str) -> None:
        """Set a text, for all ranks."""
        self._store.set(name, text)

    def find(self, name: str) -> str:
        """Return a text; empty if no rank has announced it, or if the store is gone with the node that had it."""
        try:
            return self.wait(name) if self._store.check([name]) else ""
        except RuntimeError:  # torch's DistNetworkError is one
            return ""

    def wait(self, name: str) -> str:
        """Return a text once a rank has announced it. Raise RuntimeError if none does in time."""
        return bytes(self._store.get(name)).decode()
