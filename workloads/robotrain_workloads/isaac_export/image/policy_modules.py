"""Policies as modules that PyTorch exports: an actor, and its forms that become TorchScript. Needs torch."""

from typing import Any

import torch
from torch import nn


class Normalizer(nn.Module):  # type: ignore[misc]
    """`(x - mean) / scale`, clamped if there is a limit."""

    def __init__(self, mean: Any, scale: Any, clip: float | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float().reshape(1, -1))
        self.register_buffer("scale", scale.float().reshape(1, -1))
        self.limit = 0.0 if clip is None else clip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalized observations."""
        x = (x - self.mean) / self.scale
        if self.limit > 0.0:
            x = torch.clamp(x, min=-self.limit, max=self.limit)
        return x


class ActionOutput(nn.Module):  # type: ignore[misc]
    """Scales the actions, and clips them if there is a limit."""

    def __init__(self, scale: float, clip: float | None) -> None:
        super().__init__()
        self.scale, self.limit = scale, 0.0 if clip is None else clip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the actions."""
        if self.scale != 1.0:
            x = x * self.scale
        if self.limit > 0.0:
            x = torch.clamp(x, min=-self.limit, max=self.limit)
        return x


class Actor(nn.Module):  # type: ignore[misc]
    """A policy: normalizer, recurrent layer if it has one, layers, output."""

    def __init__(self, normalizer: Any, rnn: Any, layers: Any, output: Any) -> None:
        super().__init__()
        self.normalizer, self.rnn, self.layers, self.output = normalizer, rnn, layers, output
        first = rnn.input_size if rnn is not None else next(one for one in layers if isinstance(one, nn.Linear))
        self.observations = int(rnn.input_size if rnn is not None else first.in_features)
        self.actions = int([one for one in layers if isinstance(one, nn.Linear)][-1].out_features)
        size = getattr(normalizer, "mean", None)
        if size is not None and size.shape[1] != self.observations:
            raise ValueError("the normalizer has another number of observations than the first layer")

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the hidden states."""
        return {nn.LSTM: ("h", "c"), nn.GRU: ("h",)}.get(type(self.rnn), ())

    def make_states(self, batch: int) -> tuple[Any, ...]:
        """Return hidden states of zeros."""
        like = next(self.parameters())
        shape = (self.rnn.num_layers, batch, self.rnn.hidden_size) if self.rnn is not None else ()
        return tuple(torch.zeros(shape, device=like.device) for _ in self.states)

    def forward(self, obs: Any, *states: Any) -> Any:
        """Return the actions, and the next hidden states if there are some."""
        x = self.normalizer(obs)
        if self.rnn is None:
            return self.output(self.layers(x))
        x, after = self.rnn(x.unsqueeze(0), states if len(states) > 1 else states[0])
        return (self.output(self.layers(x.squeeze(0))), *(after if isinstance(after, tuple) else (after,)))


class FeedForwardScript(nn.Module):  # type: ignore[misc]
    """The form of an actor without a recurrent layer that becomes TorchScript."""

    def __init__(self, actor: Any) -> None:
        super().__init__()
        self.normalizer, self.layers, self.output = actor.normalizer, actor.layers, actor.output

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions."""
        return self.output(self.layers(self.normalizer(obs)))

    @torch.jit.export  # type: ignore[untyped-decorator]
    def reset(self) -> None:
        """Do nothing: there is no state."""


class LstmScript(nn.Module):  # type: ignore[misc]
    """The form of an actor with an LSTM that becomes TorchScript. It keeps its state; another batch size resets it."""

    hidden: torch.Tensor
    cell: torch.Tensor

    def __init__(self, actor: Any) -> None:
        super().__init__()
        self.normalizer, self.rnn, self.layers, self.output = actor.normalizer, actor.rnn, actor.layers, actor.output
        for name, state in zip(("hidden", "cell"), actor.make_states(1), strict=True):
            self.register_buffer(name, state)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions."""
        if self.hidden.size(1) != obs.size(0):
            self.hidden = torch.zeros(self.hidden.size(0), obs.size(0), self.hidden.size(2), device=obs.device)
            self.cell = torch.zeros_like(self.hidden)
        x, after = self.rnn(self.normalizer(obs).unsqueeze(0), (self.hidden, self.cell))
        self.hidden, self.cell = after[0], after[1]
        return self.output(self.layers(x.squeeze(0)))

    @torch.jit.export  # type: ignore[untyped-decorator]
    def reset(self) -> None:
        """Forget everything: an episode begins."""
        self.hidden = torch.zeros_like(self.hidden)
        self.cell = torch.zeros_like(self.cell)


class GruScript(nn.Module):  # type: ignore[misc]
    """The form of an actor with a GRU that becomes TorchScript, as `LstmScript`."""

    hidden: torch.Tensor

    def __init__(self, actor: Any) -> None:
        super().__init__()
        self.normalizer, self.rnn, self.layers, self.output = actor.normalizer, actor.rnn, actor.layers, actor.output
        self.register_buffer("hidden", actor.make_states(1)[0])

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions."""
        if self.hidden.size(1) != obs.size(0):
            self.hidden = torch.zeros(self.hidden.size(0), obs.size(0), self.hidden.size(2), device=obs.device)
        x, self.hidden = self.rnn(self.normalizer(obs).unsqueeze(0), self.hidden)
        return self.output(self.layers(x.squeeze(0)))

    @torch.jit.export  # type: ignore[untyped-decorator]
    def reset(self) -> None:
        """Forget everything: an episode begins."""
        self.hidden = torch.zeros_like(self.hidden)


def make_script(actor: Actor) -> Any:
    """Return the TorchScript of an actor."""
    form: Any = {0: FeedForwardScript, 1: GruScript, 2: LstmScript}[len(actor.states)]
    return torch.jit.script(form(actor).eval())
