"""The network."""

import torch
from lerobot.policies.pretrained import PreTrainedPolicy

from .configuration_tiny import TinyConfig


class TinyPolicy(PreTrainedPolicy):
    config_class, name = TinyConfig, "tiny"

    def __init__(self, config, **kwargs):
        super().__init__(config)
        read = config.input_features["observation.state"].shape[0]
        self.size = config.output_features["action"].shape[0]
        layers = torch.nn.Linear(read, config.hidden), torch.nn.Linear(config.hidden, config.chunk_size * self.size)
        self.net = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])

    def get_optim_params(self):
        return self.parameters()

    def reset(self):
        pass

    def predict_action_chunk(self, batch, **options):
        return self.net(batch["observation.state"]).view(-1, self.config.chunk_size, self.size)

    def select_action(self, batch, **options):
        return self.predict_action_chunk(batch)[:, 0]

    def forward(self, batch):
        loss = (self.predict_action_chunk(batch) - batch["action"]).pow(2).mean()
        return loss, {"mse": loss.item()}
