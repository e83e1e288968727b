"""The processes that train together: sums over all of them, and gradients that PyTorch averages.

A stop or a failed step is seen by all at the same step, because each step sums a few numbers over all processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import torch
from robotrain_runtime.contract.event import emit_event
from torch import nn

from robotrain_workloads.lerobot.device import count_ranks
from robotrain_workloads.lerobot_training import process_group

RENDEZVOUS_FILE = "rendezvous"
"""In the folder that the processes share: by it they find each other."""
PATIENCE = timedelta(days=1)
"""Decoding may take hours while the others wait; the launcher ends them when one fails."""


class RankGroup:
    """The processes of one training. With one alone, nothing is exchanged."""

    def __init__(self, device: str) -> None:
        self.count, self.rank = count_ranks(), int(os.environ.get("RANK", "0"))
        self._device = device
        if self.count == 1:
            return
        process_group.attach_to_launcher()
        if device == "cuda":
            torch.cuda.set_device(self.rank)
        torch.distributed.init_process_group(
            "nccl" if device == "cuda" else "gloo",
            init_method=f"file://{os.environ[process_group.AGREEMENT_VARIABLE]}/{RENDEZVOUS_FILE}",
            rank=self.rank,
            world_size=self.count,
            timeout=PATIENCE,
        )

    @property
    def is_first(self) -> bool:
        """Whether this process reports and saves."""
        return self.rank == 0

    def emit(self, event: Any) -> None:
        """Send an event, once for all processes."""
        if self.is_first:
            emit_event(event)

    def print(self, text: str) -> None:
        """Print a line, once for all processes."""
        if self.is_first:
            print(text, flush=True)

    def add(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all processes; each of them must call it."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float32 if self._device == "mps" else torch.float64)
        total = total.to(self._device)
        torch.distributed.all_reduce(total)
        return [float(number) for number in total]

    def share_gradients(self, model: nn.Module, compute: Callable[..., Any]) -> Callable[..., Any]:
        """Return `compute`, a method of the model, with gradients that are averaged over all processes."""
        if self.count == 1:
            return compute
        devices = [self.rank] if self._device == "cuda" else None
        shared: Callable[..., Any] = nn.parallel.DistributedDataParallel(
            _Computed(model, compute), devices, broadcast_buffers=False
        )
        return shared

    def keep_gradients(self, computed: Callable[..., Any], last: bool) -> AbstractContextManager[Any]:
        """Return a context in which gradients stay here until the `last` part of a step."""
        if last or not isinstance(computed, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return computed.no_sync()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Wait for the others, so that all end at the same time."""
        if self.count > 1:
            self.add([0.0])
            torch.distributed.destroy_process_group()


class _Computed(nn.Module):  # type: ignore[misc]
    """A method of a model as the module that PyTorch wants."""

    def __init__(self, model: nn.Module, compute: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self._compute = model, compute

    def forward(self, *inputs: Any) -> Any:
        return self._compute(*inputs)
