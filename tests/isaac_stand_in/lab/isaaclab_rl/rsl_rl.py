"""Exporters for rsl_rl 3 with the names, inputs and buffers of Isaac Lab 2.3: one observation at a time."""

import copy
import os

import torch


class FeedForward(torch.nn.Module):
    """A policy without a state."""

    names = ["obs"], ["actions"]

    def __init__(self, policy, normalizer):
        super().__init__()
        self.normalizer, self.actor = copy.deepcopy(normalizer), copy.deepcopy(policy.actor)
        self.examples = (torch.zeros(1, policy.actor[0].in_features),)

    def forward(self, x):
        return self.actor(self.normalizer(x))

    @torch.jit.export
    def reset(self):
        pass


class Recurrent(torch.nn.Module):
    """A policy with an LSTM, whose state goes in and out."""

    names = ["obs", "h_in", "c_in"], ["actions", "h_out", "c_out"]

    def __init__(self, policy, normalizer):
        super().__init__()
        self.normalizer, self.actor = copy.deepcopy(normalizer), copy.deepcopy(policy.actor)
        self.rnn = copy.deepcopy(policy.memory_a.rnn)
        state = torch.zeros(self.rnn.num_layers, 1, self.rnn.hidden_size)
        self.examples = torch.zeros(1, self.rnn.input_size), state, state.clone()

    def forward(self, x, h, c):
        x, (h, c) = self.rnn(self.normalizer(x).unsqueeze(0), (h, c))
        return self.actor(x.squeeze(0)), h, c


class Remembering(torch.nn.Module):
    """A policy with an LSTM that keeps its state."""

    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent
        for name, state in zip(("hidden_state", "cell_state"), recurrent.examples[1:], strict=True):
            self.register_buffer(name, state)

    def forward(self, x):
        actions, h, c = self.recurrent(x, self.hidden_state, self.cell_state)
        self.hidden_state[:] = h
        self.cell_state[:] = c
        return actions

    @torch.jit.export
    def reset(self):
        self.hidden_state[:] = 0.0
        self.cell_state[:] = 0.0


def _make_module(policy, normalizer):
    normalizer = normalizer or torch.nn.Identity()
    return (Recurrent if policy.is_recurrent else FeedForward)(policy, normalizer).cpu().eval()


def export_policy_as_jit(policy, normalizer, path, filename="policy.pt"):
    module = _make_module(policy, normalizer)
    torch.jit.script(Remembering(module) if policy.is_recurrent else module).save(os.path.join(path, filename))


def export_policy_as_onnx(policy, path, normalizer=None, filename="policy.onnx", verbose=False):
    module = _make_module(policy, normalizer)
    inputs, outputs = module.names
    torch.onnx.export(
        module,
        module.examples,
        os.path.join(path, filename),
        opset_version=11,
        dynamo=False,
        input_names=inputs,
        output_names=outputs,
    )
