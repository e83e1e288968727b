"""Parameters of `rosbag-act-train`. Names and defaults: contract, section G, and those of `lerobot-train`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from robotrain_runtime.contract.parameter import Param

from robotrain_workloads import bag_parameters
from robotrain_workloads.bag_parameters import Clock, ClockJump, Sync, read_topic
from robotrain_workloads.lerobot import parameters as shared
from robotrain_workloads.parameters import CheckpointsUrl, SystemMetrics, make_model_param

PRETRAINED_PATTERN = r"^(ResNet(18|34|50)_Weights\.(IMAGENET1K_V1|DEFAULT)|ResNet50_Weights\.IMAGENET1K_V2)$"


@dataclass(frozen=True, kw_only=True)
class RosbagActParameters:
    """The parameters of `rosbag-act-train`."""

    job_name: shared.JobName = "rosbag-act-training"
    output_dir: Annotated[
        str | None, shared.make_output_param("a new folder for checkpoints, from the run's own (default: outputs)")
    ] = None
    image_topics: Annotated[str | None, bag_parameters.IMAGE_TOPICS] = None
    state_topic: Annotated[str | None, bag_parameters.STATE_TOPIC] = "/joint_states"
    environment_state_topic: Annotated[str | None, bag_parameters.ENVIRONMENT_STATE_TOPIC] = None
    action_topic: Annotated[str | None, bag_parameters.ACTION_TOPIC] = None
    joint_names: Annotated[str | None, bag_parameters.JOINT_NAMES] = None
    action_joint_names: Annotated[str | None, bag_parameters.ACTION_JOINT_NAMES] = None
    units: Annotated[str | None, bag_parameters.UNITS] = None
    fps: Annotated[float, bag_parameters.FPS] = 30.0
    sync: Annotated[Sync, bag_parameters.SYNC] = "nearest"
    tolerance_s: Annotated[float | None, bag_parameters.TOLERANCE_S] = None
    timestamp: Annotated[Clock, bag_parameters.TIMESTAMP] = "header"
    max_gap_s: Annotated[float, bag_parameters.MAX_GAP_S] = 0.5
    on_clock_jump: Annotated[ClockJump, bag_parameters.ON_CLOCK_JUMP] = "refuse"
    exclude_bags: Annotated[str | None, bag_parameters.EXCLUDE_BAGS] = None
    image_size: Annotated[str | None, bag_parameters.IMAGE_SIZE] = None
    num_workers: Annotated[int, Param(help="threads that decode pictures (0: one for each core)", ge=0)] = 0
    salvage: Annotated[bool, bag_parameters.SALVAGE] = False
    val_split: Annotated[
        float,
        Param(
            help="the share of bags that is held out, each with all its episodes",
            off="--no-val-split",
            off_value="0",
            env=("VAL_SPLIT",),
            ge=0,
            lt=1,
        ),
    ] = 0.1
    training_steps: shared.TrainingSteps = 100_000
    batch_size: shared.BatchSize = 32
    learning_rate: shared.LearningRate = 1e-4
    lr_backbone: Annotated[float, Param(help="the learning rate of the cameras' network", gt=0)] = 1e-5
    weight_decay: Annotated[float, Param(help="the optimizer's weight decay", ge=0)] = 1e-4
    accumulate: Annotated[int, Param(help="batches whose gradients make one step", gt=0)] = 1
    num_gpus: shared.NumGpus = 1
    mixed_precision: Annotated[
        Literal["no", "bf16"],
        Param(
            help="the number format of training",
            env=("MIXED_PRECISION",),
            requires="mixed_precision",
            foreign_values=tuple(pair for pair in shared.PRECISION_WORDS if pair[1] != "fp16"),
        ),
    ] = "no"
    save_freq: shared.SaveFreq = 5000
    log_freq: shared.LogFreq = 200
    chunk_size: Annotated[int, Param(help="actions that the policy predicts at once", gt=0)] = 100
    n_action_steps: Annotated[
        int | None, Param(help="actions that are done before the next prediction (default: the chunk)", gt=0)
    ] = None
    temporal_ensemble_coeff: Annotated[
        float | None,
        Param(help="average overlapping predictions with this weight, as 0.01; then one action is done at a time"),
    ] = None
    vision_backbone: Annotated[Literal["resnet18", "resnet34", "resnet50"], Param(help="the cameras' network")] = (
        "resnet18"
    )
    pretrained_backbone_weights: Annotated[
        str | None,
        Param(
            help="weights of torchvision that the cameras' network starts with (default: random ones)",
            pattern=PRETRAINED_PATTERN,
            pattern_help="a name of torchvision, such as ResNet18_Weights.IMAGENET1K_V1",
            metavar="NAME",
        ),
    ] = None
    dim_model: Annotated[int, Param(help="the width of the transformer", gt=0)] = 512
    n_heads: Annotated[int, Param(help="attention heads", gt=0)] = 8
    dim_feedforward: Annotated[int, Param(help="the width of the feed-forward layers", gt=0)] = 3200
    n_encoder_layers: Annotated[int, Param(help="layers of the encoder", gt=0)] = 4
    n_decoder_layers: Annotated[int, Param(help="layers of the decoder", gt=0)] = 1
    n_vae_encoder_layers: Annotated[int, Param(help="layers of the variational encoder", gt=0)] = 4
    use_vae: Annotated[bool, Param(help="train with the variational objective")] = True
    latent_dim: Annotated[int, Param(help="the size of the latent", gt=0)] = 32
    kl_weight: Annotated[float, Param(help="the weight of the divergence in the loss", ge=0)] = 10.0
    dropout: Annotated[float, Param(help="the share of activations that training drops", ge=0, lt=1)] = 0.1
    seed: shared.Seed = 1000
    device: shared.TrainingDevice = "auto"
    experiment_name: Annotated[
        str | None, Param(help="the tracking experiment (default: rosbag-act-JOB)", env=("EXPERIMENT_NAME",))
    ] = None
    register_checkpoint: Annotated[
        str | None, make_model_param("register the last checkpoint as a model of this name", "REGISTER_CHECKPOINT")
    ] = None
    publish_url: CheckpointsUrl = None
    system_metrics: SystemMetrics = True


def get_experiment_name(parameters: Mapping[str, Any]) -> str:
    """Return the name of the tracking experiment."""
    return str(parameters["experiment_name"] or f"rosbag-act-{parameters['job_name']}")


def find_policy_problems(values: Mapping[str, Any]) -> list[str]:
    """Return why no policy can be made of these values, each as a sentence without a full stop."""
    problems = []
    steps = values["n_action_steps"]
    if values["temporal_ensemble_coeff"] is not None and steps not in (None, 1):
        problems.append(f"--temporal-ensemble-coeff does one action at a time, and --n-action-steps is {steps}")
    if steps is not None and steps > values["chunk_size"]:
        problems.append(f"--n-action-steps {steps} is above --chunk-size {values['chunk_size']}")
    if values["dim_model"] % values["n_heads"] or values["dim_model"] % 4:
        problems.append(f"--dim-model {values['dim_model']} is not divisible by --n-heads {values['n_heads']} and by 4")
    if not values["image_topics"] and not read_topic(values["environment_state_topic"]):
        problems.append("a policy needs --image-topics or --environment-state-topic")
    state = read_topic(values["state_topic"])
    action = read_topic(values["action_topic"])
    if state is None and values["use_vae"]:
        problems.append("the variational objective needs --state-topic, or --no-use-vae")
    if state is None and action is None:
        problems.append("there is no action: give --action-topic, or --state-topic whose next value is the action")
    name, network = values["pretrained_backbone_weights"], values["vision_backbone"]
    if name is not None and not name.lower().startswith(f"{network}_"):
        problems.append(f"--pretrained-backbone-weights {name} does not fit --vision-backbone {network}")
    if name is not None and not values["image_topics"]:
        problems.append("weights of the cameras' network have no effect without --image-topics")
    return problems
