"""What Isaac Lab 2.3 exports of rsl_rl: normaliser, actor and recurrent layer, to TorchScript and ONNX."""

import copy
import os

import torch


class Export(torch.nn.Module):
    def __init__(self, policy, rnn=None):
        super().__init__()
        self.normalizer = copy.deepcopy(policy.actor_obs_normalizer)
        self.actor = copy.deepcopy(policy.actor)
        if rnn is not None:
            self.rnn = copy.deepcopy(rnn)


class Mlp(Export):
    def forward(self, obs):
        return self.actor(self.normalizer(obs))

    @torch.jit.export
    def reset(self):
        pass


class LstmJit(Export):
    def __init__(self, policy, rnn):
        super().__init__(policy, rnn)
        for name in ("hidden_state", "cell_state"):
            self.register_buffer(name, torch.zeros(rnn.num_layers, 1, rnn.hidden_size))

    def forward(self, obs):
        x, (h, c) = self.rnn(self.normalizer(obs).unsqueeze(0), (self.hidden_state, self.cell_state))
        self.hidden_state[:] = h
        self.cell_state[:] = c
        return self.actor(x.squeeze(0))

    @torch.jit.export
    def reset(self):
        self.hidden_state[:] = 0.0
        self.cell_state[:] = 0.0


class GruJit(Export):
    def __init__(self, policy, rnn):
        super().__init__(policy, rnn)
        self.register_buffer("hidden_state", torch.zeros(rnn.num_layers, 1, rnn.hidden_size))

    def forward(self, obs):
        x, h = self.rnn(self.normalizer(obs).unsqueeze(0), self.hidden_state)
        self.hidden_state[:] = h
        return self.actor(x.squeeze(0))

    @torch.jit.export
    def reset(self):
        self.hidden_state[:] = 0.0


class LstmOnnx(Export):
    def forward(self, obs, h_in, c_in):
        x, (h, c) = self.rnn(self.normalizer(obs).unsqueeze(0), (h_in, c_in))
        return self.actor(x.squeeze(0)), h, c


class GruOnnx(Export):
    def forward(self, obs, h_in):
        x, h = self.rnn(self.normalizer(obs).unsqueeze(0), h_in)
        return self.actor(x.squeeze(0)), h


def export(policy, folder):
    policy = copy.deepcopy(policy).cpu().eval()
    rnn = policy.memory_a.rnn if policy.is_recurrent else None
    kind = type(rnn).__name__ if rnn is not None else "MLP"
    jit, graph = {"MLP": (Mlp, Mlp), "LSTM": (LstmJit, LstmOnnx), "GRU": (GruJit, GruOnnx)}[kind]
    torch.jit.script(jit(policy, *([rnn] if rnn is not None else []))).save(os.path.join(folder, "policy.pt"))
    size = rnn.input_size if rnn is not None else policy.actor[0].in_features
    state = torch.zeros(rnn.num_layers, 1, rnn.hidden_size) if rnn is not None else None
    extra = {"MLP": [], "LSTM": ["h", "c"], "GRU": ["h"]}[kind]
    model = graph(policy, *([rnn] if rnn is not None else [])).eval()
    torch.onnx.export(
        model,
        (torch.zeros(1, size), *[state.clone() for _ in extra]),
        os.path.join(folder, "policy.onnx"),
        opset_version=18,
        dynamo=False,
        input_names=["obs"] + [f"{e}_in" for e in extra],
        output_names=["actions"] + [f"{e}_out" for e in extra],
    )
