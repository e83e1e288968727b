"""Parameters of `rosbag-act-train`: those of `lerobot-train`, and the network of ACT in the words of config.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads.lerobot import parameters as shared
from robotrain_workloads.lerobot.policy_parameters import OPTIONS
from robotrain_workloads.lerobot_train.parameters import Bags, TrainedPolicyType, TrainParameters


def _make_param(name: str, help: str, **limits: float) -> Param:
    return Param(help=f"{help}: {OPTIONS[name]} of LeRobot", **limits)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class RosbagActParameters(TrainParameters):
    """The parameters of `rosbag-act-train`. One without a value is LeRobot's default, or that of the policy's start."""

    policy_type: TrainedPolicyType = "act"
    bags: Bags = True
    job_name: shared.JobName = "rosbag-act-training"
    chunk_size: Annotated[int | None, _make_param("chunk_size", "actions that the policy predicts at once", gt=0)] = (
        None
    )
    n_action_steps: Annotated[
        int | None,
        _make_param("n_action_steps", "actions that are done before the next prediction (default: the chunk)", gt=0),
    ] = None
    temporal_ensemble_coeff: Annotated[
        float | None, _make_param("temporal_ensemble_coeff", "average overlapping predictions with this weight")
    ] = None
    vision_backbone: Annotated[
        Literal["resnet18", "resnet34", "resnet50"] | None, _make_param("vision_backbone", "the cameras' network")
    ] = None
    pretrained_backbone_weights: Annotated[
        str | None,
        _make_param("pretrained_backbone_weights", "torchvision's weights that the cameras' network starts with"),
    ] = None
    dim_model: Annotated[int | None, _make_param("dim_model", "the width of the transformer", gt=0)] = None
    n_heads: Annotated[int | None, _make_param("n_heads", "attention heads", gt=0)] = None
    dim_feedforward: Annotated[
        int | None, _make_param("dim_feedforward", "the width of the feed-forward layers", gt=0)
    ] = None
    n_encoder_layers: Annotated[int | None, _make_param("n_encoder_layers", "layers of the encoder", gt=0)] = None
    n_decoder_layers: Annotated[int | None, _make_param("n_decoder_layers", "layers of the decoder", gt=0)] = None
    n_vae_encoder_layers: Annotated[
        int | None, _make_param("n_vae_encoder_layers", "layers of the variational encoder", gt=0)
    ] = None
    use_vae: Annotated[bool | None, _make_param("use_vae", "train with the variational objective")] = None
    latent_dim: Annotated[int | None, _make_param("latent_dim", "the size of the latent", gt=0)] = None
    kl_weight: Annotated[float | None, _make_param("kl_weight", "the weight of the divergence in the loss", ge=0)] = (
        None
    )
    dropout: Annotated[
        float | None, _make_param("dropout", "the share of activations that training drops", ge=0, lt=1)
    ] = None
    lr_backbone: Annotated[
        float | None, _make_param("lr_backbone", "the learning rate of the cameras' network", gt=0)
    ] = None
    weight_decay: Annotated[float | None, _make_param("weight_decay", "the optimizer's weight decay", ge=0)] = None
