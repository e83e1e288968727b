"""The network of ACT (Zhao et al., 2023, https://arxiv.org/abs/2304.13705), with LeRobot 0.6.1's names of weights.

Same weights, data and random state give LeRobot's outputs and loss: `tests/workloads/act_parity.py`.
Tensors inside are (tokens, batch, dim), as LeRobot's are, so that dropout draws the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from robotrain_workloads.rosbag_act_train.act.config import ACTION, ENVIRONMENT, STATE, ActConfig

PADDED, NOISE = "action_is_pad", "latent_noise"
_POSITION_BASE = 10_000


class Prediction(NamedTuple):
    """What the network gives."""

    actions: Tensor
    """Shape (batch, chunk, values), normalized."""
    mean: Tensor | None
    """The latent's mean, shape (batch, latent); None without the variational encoder."""
    log_variance: Tensor | None


class Loss(NamedTuple):
    """The loss and its parts."""

    total: Tensor
    l1: Tensor
    """Mean absolute error over the steps that are not padding."""
    kl: Tensor | None
    """Divergence of the latent from a standard normal; None without the variational encoder."""


class Act(nn.Module):
    """The network."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim_model
        if config.use_vae:
            self.vae_encoder = _Encoder(config, config.n_vae_encoder_layers)
            self.vae_encoder_cls_embed = nn.Embedding(1, dim)
            if config.state:
                self.vae_encoder_robot_state_input_proj = nn.Linear(config.state, dim)
            self.vae_encoder_action_input_proj = nn.Linear(config.action, dim)
            self.vae_encoder_latent_output_proj = nn.Linear(dim, 2 * config.latent_dim)
            tokens = 1 + bool(config.state) + config.chunk_size
            self.register_buffer("vae_encoder_pos_enc", make_positions(tokens, dim).unsqueeze(0))
        if config.cameras:
            self.backbone, channels = _make_backbone(config)
            self.encoder_img_feat_input_proj = nn.Conv2d(channels, dim, kernel_size=1)
        self.encoder = _Encoder(config, config.n_encoder_layers)
        self.decoder = _Decoder(config)
        if config.state:
            self.encoder_robot_state_input_proj = nn.Linear(config.state, dim)
        if config.environment:
            self.encoder_env_state_input_proj = nn.Linear(config.environment, dim)
        self.encoder_latent_input_proj = nn.Linear(config.latent_dim, dim)
        self.encoder_1d_feature_pos_embed = nn.Embedding(1 + bool(config.state) + bool(config.environment), dim)
        self.decoder_pos_embed = nn.Embedding(config.chunk_size, dim)
        self.action_head = nn.Linear(dim, config.action)
        for module in (self.encoder, self.decoder):
            for weight in module.parameters():
                if weight.dim() > 1:
                    nn.init.xavier_uniform_(weight)

    def forward(self, batch: Mapping[str, Tensor]) -> Prediction:
        """Return the actions for a batch of normalized observations.

        Args:
            batch: `observation.state` (batch, values), `observation.environment_state` (batch, values), each camera
                (batch, 3, height, width); while training with the variational encoder also `action` (batch, chunk,
                values) and `action_is_pad` (batch, chunk); `latent_noise` (batch, latent) replaces random numbers.
        """
        config = self.config
        any_input = next(iter(batch[name] for name in (STATE, ENVIRONMENT, *config.cameras) if name in batch))
        mean = log_variance = None
        if config.use_vae and self.training:
            mean, log_variance = self._encode_actions(batch)
            noise = batch[NOISE] if NOISE in batch else torch.randn_like(mean)
            latent = mean + (log_variance / 2).exp() * noise
        else:
            latent = torch.zeros(len(any_input), config.latent_dim, device=any_input.device)
        tokens = [self.encoder_latent_input_proj(latent)]
        if config.state:
            tokens.append(self.encoder_robot_state_input_proj(batch[STATE]))
        if config.environment:
            tokens.append(self.encoder_env_state_input_proj(batch[ENVIRONMENT]))
        sequence = torch.stack(tokens)
        positions = self.encoder_1d_feature_pos_embed.weight.unsqueeze(1)
        for camera in config.cameras:
            features = self.backbone(batch[camera])["feature_map"]
            where = make_image_positions(features, config.dim_model)
            picture = self.encoder_img_feat_input_proj(features).flatten(2).permute(2, 0, 1)
            sequence = torch.cat([sequence, picture])
            positions = torch.cat([positions, where])
        memory = self.encoder(sequence, positions)
        queries = self.decoder_pos_embed.weight.unsqueeze(1)
        start = sequence.new_zeros(config.chunk_size, sequence.shape[1], config.dim_model)
        decoded = self.decoder(start, memory, queries, positions)
        return Prediction(self.action_head(decoded.transpose(0, 1)), mean, log_variance)

    def compute_loss(self, batch: Mapping[str, Tensor]) -> Loss:
        """Return the loss of a normalized batch with actions."""
        predicted = self(batch)
        counted = ~batch[PADDED].unsqueeze(-1)
        error = functional.l1_loss(predicted.actions, batch[ACTION], reduction="none") * counted
        l1 = error.sum() / (counted.sum() * error.shape[-1]).clamp_min(1)
        if predicted.mean is None or predicted.log_variance is None:
            return Loss(l1, l1, None)
        mean, log_variance = predicted.mean, predicted.log_variance
        kl = (-0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp())).sum(-1).mean()
        return Loss(l1 + self.config.kl_weight * kl, l1, kl)

    def _encode_actions(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the latent's mean and log variance from the actions to predict."""
        actions = self.vae_encoder_action_input_proj(batch[ACTION])
        start = [self.vae_encoder_cls_embed.weight.expand(len(actions), 1, -1)]
        if self.config.state:
            start.append(self.vae_encoder_robot_state_input_proj(batch[STATE]).unsqueeze(1))
        tokens = torch.cat([*start, actions], dim=1).transpose(0, 1)
        padded = functional.pad(batch[PADDED], (len(start), 0), value=False)
        positions: Tensor = self.vae_encoder_pos_enc
        encoded = self.vae_encoder(tokens, positions.transpose(0, 1), padded)[0]
        mean, log_variance = self.vae_encoder_latent_output_proj(encoded).chunk(2, dim=1)
        return mean, log_variance


class _Layer(nn.Module):
    """Self-attention, attention to the memory in a decoder, and a feed-forward network, each with a residual."""

    def __init__(self, config: ActConfig, *, decodes: bool) -> None:
        super().__init__()
        dim, drop = config.dim_model, config.dropout
        self.pre_norm, self.activation = config.pre_norm, getattr(functional, config.feedforward_activation)
        self.self_attn = nn.MultiheadAttention(dim, config.n_heads, dropout=drop)
        if decodes:
            self.multihead_attn = nn.MultiheadAttention(dim, config.n_heads, dropout=drop)
        self.linear1, self.linear2 = nn.Linear(dim, config.dim_feedforward), nn.Linear(config.dim_feedforward, dim)
        self.dropout = nn.Dropout(drop)
        norms = [nn.LayerNorm(dim) for _ in range(3 if decodes else 2)]
        for number, norm in enumerate(norms, 1):
            self.add_module(f"norm{number}", norm)

    def forward(
        self,
        x: Tensor,
        position: Tensor,
        padded: Tensor | None = None,
        memory: Tensor | None = None,
        memory_position: Tensor | None = None,
    ) -> Tensor:
        norms = [self.norm1, self.norm2, *([] if memory is None else [self.norm3])]

        def attend(x: Tensor) -> Tensor:
            query = x + position
            return self._attend(self.self_attn, query, query, x, padded)

        def attend_memory(x: Tensor) -> Tensor:
            assert memory is not None
            return self._attend(self.multihead_attn, x + position, memory + memory_position, memory, None)

        def feed_forward(x: Tensor) -> Tensor:
            return self.linear2(self.dropout(self.activation(self.linear1(x))))

        parts = [attend, *([] if memory is None else [attend_memory]), feed_forward]
        for part, norm in zip(parts, norms, strict=True):
            x = x + self.dropout(part(norm(x))) if self.pre_norm else norm(x + self.dropout(part(x)))
        return x

    def _attend(
        self, attention: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, padded: Tensor | None
    ) -> Tensor:
        # With weights, PyTorch computes as LeRobot does, to the bit; without, it is faster by a fused kernel.
        attended: Tensor = attention(query, key, value, key_padding_mask=padded, need_weights=self.training)[0]
        return attended


class _Encoder(nn.Module):
    def __init__(self, config: ActConfig, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config, decodes=False) for _ in range(layers))
        self.norm = nn.LayerNorm(config.dim_model) if config.pre_norm else nn.Identity()

    def forward(self, x: Tensor, position: Tensor, padded: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, position, padded)
        return self.norm(x)


class _Decoder(nn.Module):
    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config, decodes=True) for _ in range(config.n_decoder_layers))
        self.norm = nn.LayerNorm(config.dim_model)

    def forward(self, x: Tensor, memory: Tensor, position: Tensor, memory_position: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, position, None, memory, memory_position)
        return self.norm(x)


def make_positions(count: int, dim: int) -> Tensor:
    """Return sinusoidal positions, shape (count, dim): sines at even places, cosines at odd ones."""
    positions = torch.arange(count, dtype=torch.float64).unsqueeze(1)
    pair = torch.arange(dim, dtype=torch.float64) // 2
    angle = positions / _POSITION_BASE ** (2 * pair / dim)
    even = torch.arange(dim) % 2 == 0
    return torch.where(even, angle.sin(), angle.cos()).float()


def make_image_positions(features: Tensor, dim: int) -> Tensor:
    """Return positions in two dimensions for a feature map (batch, channels, height, width).

    The shape is (height * width, 1, dim); the first half tells the row and the second the column, both scaled to
    (0, 2π].
    """
    height, width = features.shape[-2:]
    half = dim // 2
    pair = torch.arange(half, dtype=torch.float32, device=features.device) // 2
    frequency = _POSITION_BASE ** (2 * pair / half)
    even = torch.arange(half, device=features.device) % 2 == 0

    def encode(count: int) -> Tensor:
        positions = torch.arange(1, count + 1, dtype=torch.float32, device=features.device)
        angle = (positions / (count + 1e-6) * (2 * math.pi)).unsqueeze(1) / frequency
        return torch.where(even, angle.sin(), angle.cos())

    rows = encode(height).unsqueeze(1).expand(height, width, half)
    columns = encode(width).unsqueeze(0).expand(height, width, half)
    return torch.cat([rows, columns], dim=-1).reshape(height * width, 1, dim).to(features.dtype)


def _make_backbone(config: ActConfig) -> tuple[nn.Module, int]:
    import torchvision
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.ops.misc import FrozenBatchNorm2d

    network = getattr(torchvision.models, config.vision_backbone)(
        replace_stride_with_dilation=[False, False, config.replace_final_stride_with_dilation],
        weights=None,
        norm_layer=FrozenBatchNorm2d,
    )
    return IntermediateLayerGetter(network, {"layer4": "feature_map"}), network.fc.in_features
