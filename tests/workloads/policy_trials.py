"""What each policy type and reward model of LeRobot did here: five steps of a tiny network on a CPU, without internet.

The slow tests submit each trial through robotrain; `docs/policies.md` is written from the same table. The repositories
that a trial reads are made by `tiny_backbones.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

Result = Literal["trains", "trains reduced", "constructed", "not possible"]
Stage = Literal["train", "fine-tune", "resume", "adapter", "evaluate"]


@dataclass(frozen=True)
class PolicyTrial:
    """One type of policy or reward model with the smallest network that its own options allow."""

    type: str

    dataset: str
    """`pusht-camera` and `pusht-mini` are examples; the others are recorded by `policy_datasets.py`."""

    result: Result
    """`trains`: five steps ran; `trains reduced`: they ran with a network that no option of LeRobot gives;
    `constructed`: the network was built, with `reason` for what did not follow.
    """

    reason: str = ""
    """Why it only is constructed or is not possible, or what was reduced: a sentence for users, shown in the docs."""

    options: tuple[str, ...] = ()
    """What follows `--` at a new training; a fine-tuning and a resumption read the network from the checkpoint.
    """

    every_time: tuple[str, ...] = ()
    """What follows `--` at a new training, a fine-tuning and a resumption."""

    reads_quantiles: bool = False
    """Whether it normalizes with quantiles. They are computed: those that LeRobot stored with the examples are refused.
    """

    evaluated_with: tuple[str, ...] = ()
    """What follows `--` at an evaluation."""

    backbones: tuple[str, ...] = ()
    """The repositories (OWNER/NAME) that the job needs beside its data, in the order in which LeRobot reads them."""

    named: tuple[str, ...] = ()
    """Those of them that only the files of another one name, so that a user gives them."""

    trusted: tuple[str, ...] = ()
    """Those of them whose Python code runs."""

    stages: tuple[Stage, ...] = ("train", "fine-tune", "resume", "evaluate")
    """What was tried and worked; a type that trains lacks those that LeRobot cannot do, with `reason`."""

    reward_model: bool = False
    """The type is one of `--reward-model`, not of `--policy-type`."""

    steps: int = 5

    batch_size: int = 2


WITH_ADAPTER: tuple[Stage, ...] = ("train", "fine-tune", "resume", "evaluate", "adapter")
CHUNK_OF_4 = ("--policy.chunk_size=4", "--policy.n_action_steps=4")
FLORENCE = {
    "vision_config": {
        **{"depths": [1, 1], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1]},
        **{"patch_prenorm": [False, True], "dim_embed": [16, 32], "num_heads": [2, 2], "num_groups": [2, 2]},
        **{"window_size": 4, "projection_dim": 32},
    },
    "text_config": {
        **{"vocab_size": 400, "d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32},
        **{"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32},
    },
    **{"projection_dim": 32, "vocab_size": 400, "image_token_id": 399, "pad_token_id": 1},
}
"""X-VLA has no default for its vision-language model: a new training describes it, in the words of its checkpoints."""

REDUCED_PI = (
    "five steps ran with a reduced network; LeRobot's smallest has {} parameters, more than this machine trains"
)
PALIGEMMA = "google/paligemma-3b-pt-224"
WITH_REDUCED_PI = ("--env.discover_packages_path=reduced_pi",)
"""The package lies beside this file. Of the option's name only the end counts; `--policy.` would go to the policy."""

POLICIES: tuple[PolicyTrial, ...] = (
    PolicyTrial(
        "act",
        "pusht-camera",
        "trains",
        options=("--policy.dim_model=32", "--policy.n_heads=2", "--policy.dim_feedforward=32", *CHUNK_OF_4),
    ),
    PolicyTrial(
        "diffusion",
        "pusht-camera",
        "trains",
        options=(
            "--policy.pretrained_backbone_weights=null",
            "--policy.crop_shape=[56,56]",
            "--policy.down_dims=[16,32]",
            "--policy.horizon=8",
            "--policy.n_action_steps=4",
        ),
    ),
    PolicyTrial(
        "vqbet",
        "pusht-camera",
        "trains",
        options=(
            "--policy.pretrained_backbone_weights=null",
            "--policy.crop_shape=[56,56]",
            "--policy.gpt_n_layer=1",
            "--policy.gpt_n_head=2",
            *(f"--policy.gpt_{part}_dim=32" for part in ("hidden", "input", "output")),
            "--policy.vqvae_enc_hidden_dim=16",
            "--policy.vqvae_embedding_dim=16",
            "--policy.n_vqvae_training_steps=3",
        ),
    ),
    PolicyTrial(
        "tdmpc",
        "reward",
        "trains",
        options=("--policy.mlp_dim=32", "--policy.latent_dim=16", "--policy.horizon=2"),
    ),
    PolicyTrial(
        "multi_task_dit",
        "pusht-camera",
        "trains",
        options=(
            "--policy.image_crop_shape=[64,64]",
            "--policy.hidden_dim=32",
            "--policy.num_layers=1",
            "--policy.num_heads=2",
            "--policy.timestep_embed_dim=16",
            "--policy.horizon=8",
            "--policy.n_action_steps=4",
        ),
        backbones=("openai/clip-vit-base-patch16",),
    ),
    PolicyTrial(
        "smolvla",
        "pusht-camera",
        "trains",
        options=(*CHUNK_OF_4, "--policy.resize_imgs_with_padding=[64,64]", "--policy.tokenizer_max_length=16"),
        backbones=("HuggingFaceTB/SmolVLM2-500M-Video-Instruct",),
        stages=WITH_ADAPTER,
    ),
    PolicyTrial(
        "xvla",
        "pusht-camera",
        "trains",
        options=(
            f"--policy.florence_config={json.dumps(FLORENCE)}",
            "--policy.action_mode=auto",
            "--policy.max_action_dim=4",
            "--policy.hidden_size=32",
            "--policy.depth=1",
            "--policy.num_heads=2",
            "--policy.len_soft_prompts=2",
            "--policy.num_domains=2",
            "--policy.max_len_seq=128",
            "--policy.tokenizer_max_length=16",
            *CHUNK_OF_4,
        ),
        backbones=("facebook/bart-large",),
    ),
    PolicyTrial(
        "pi0",
        "pusht-camera",
        "trains reduced",
        reason=REDUCED_PI.format("4.0 billion"),
        options=(*CHUNK_OF_4, "--policy.tokenizer_max_length=32"),
        every_time=WITH_REDUCED_PI,
        backbones=(PALIGEMMA,),
        stages=WITH_ADAPTER,
    ),
    PolicyTrial(
        "pi05",
        "pusht-camera",
        "trains reduced",
        reason=REDUCED_PI.format("4.1 billion"),
        options=(*CHUNK_OF_4, "--policy.tokenizer_max_length=32"),
        every_time=WITH_REDUCED_PI,
        reads_quantiles=True,
        backbones=(PALIGEMMA,),
    ),
    PolicyTrial(
        "pi0_fast",
        "pusht-camera",
        "trains reduced",
        reason=REDUCED_PI.format("3.4 billion"),
        options=(*CHUNK_OF_4, "--policy.tokenizer_max_length=64", "--policy.max_action_tokens=32"),
        every_time=WITH_REDUCED_PI,
        backbones=(PALIGEMMA, "lerobot/fast-action-tokenizer"),
        trusted=("lerobot/fast-action-tokenizer",),
        stages=("train", "fine-tune", "resume"),  # what random weights write cannot be read as actions
    ),
)
"""Policies that learn from the data alone, and those of the π0, SmolVLA, X-VLA and CLIP families."""

QWEN3, COSMOS = "Qwen/Qwen3-VL-2B-Instruct", "nvidia/Cosmos-Reason2-2B"
WAN = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"
DIFFUSION_TRANSFORMER = {
    **{"hidden_dim": 32, "ffn_dim": 64, "freq_dim": 16, "text_dim": 32, "num_heads": 2, "attn_head_dim": 16},
    **{"num_layers": 1, "eps": 0.0001, "action_dim": 2},
}
VIDEO_TRANSFORMER = {
    **{**DIFFUSION_TRANSFORMER, "patch_size": [1, 2, 2], "in_dim": 48, "out_dim": 48, "seperated_timestep": True},
    **{"video_attention_mask_mode": "first_frame_causal", "action_conditioned": False},
}
"""FastWAM's options describe both of its networks whole; `seperated` is LeRobot's spelling."""

LARGE_POLICIES: tuple[PolicyTrial, ...] = (
    PolicyTrial(
        "groot",
        "pusht-camera",
        "trains",
        options=CHUNK_OF_4,
        backbones=("nvidia/GR00T-N1.7-3B", QWEN3, COSMOS),  # the real base needs no Qwen
        named=(QWEN3,),
        trusted=(COSMOS,),  # the tiny one has no code; of the real one LeRobot would run it
    ),
    PolicyTrial(
        "eo1",
        "pusht-camera",
        "trains",
        options=(*CHUNK_OF_4, "--policy.image_min_pixels=3136", "--policy.image_max_pixels=3136"),
        backbones=("Qwen/Qwen2.5-VL-3B-Instruct",),
    ),
    PolicyTrial(
        "evo1",
        "pusht-camera",
        "trains",
        options=(
            *CHUNK_OF_4,
            "--policy.image_resolution=[32,32]",
            "--policy.vlm_num_layers=1",
            *(f"--policy.{part}_dim=32" for part in ("embed", "hidden", "state_hidden")),
            "--policy.num_heads=2",
            "--policy.num_layers=1",
        ),
        backbones=("OpenGVLab/InternVL3-1B-hf",),
    ),
    PolicyTrial(
        "wall_x",
        "pusht-camera",
        "trains",
        options=CHUNK_OF_4,
        backbones=("x-square-robot/wall-oss-flow",),
    ),
    PolicyTrial(
        "molmoact2",
        "pusht-camera",
        "trains",
        reason="LeRobot cannot go on from its own checkpoint of this type (huggingface/lerobot#3998); an evaluation"
        " needs `-- --policy.inference_action_mode=continuous`, or `discrete`",
        stages=("train", "evaluate"),
        evaluated_with=("--policy.inference_action_mode=continuous",),
        options=CHUNK_OF_4,
        reads_quantiles=True,
        backbones=("allenai/MolmoAct2", "allenai/MolmoAct2-FAST-Tokenizer"),
    ),
    PolicyTrial(
        "vla_jepa",
        "pusht-camera",
        "trains",
        options=(
            *CHUNK_OF_4,
            "--policy.torch_dtype=float32",
            "--policy.num_video_frames=4",
            "--policy.action_hidden_size=32",
            "--policy.action_num_layers=1",
            "--policy.action_num_heads=2",
            "--policy.action_attention_head_dim=16",
            "--policy.predictor_depth=1",
            "--policy.predictor_num_heads=2",
            "--policy.num_action_tokens_per_timestep=2",
            "--policy.num_embodied_action_tokens_per_instruction=2",
            "--policy.num_target_vision_tokens=2",
        ),
        backbones=(QWEN3, "facebook/vjepa2-vitl-fpc64-256"),
    ),
    PolicyTrial(
        "fastwam",
        "two-cameras",
        "trains",
        options=(
            "--policy.base_model_id=null",
            "--policy.torch_dtype=float32",
            "--policy.action_dim=2",
            "--policy.proprio_dim=2",
            "--policy.action_horizon=4",
            "--policy.n_action_steps=4",
            "--policy.num_video_frames=5",
            "--policy.action_video_freq_ratio=1",
            "--policy.image_size=[32,64]",
            "--policy.tokenizer_max_len=16",
            "--policy.context_len=16",
            f"--policy.video_dit_config={json.dumps(VIDEO_TRANSFORMER)}",
            f"--policy.action_dit_config={json.dumps(DIFFUSION_TRANSFORMER)}",
        ),
        backbones=(WAN, "google/umt5-xxl"),
    ),
    PolicyTrial(
        "lingbot_va",
        "two-cameras",
        "trains reduced",
        reason="PyTorch compiles its attention for a GPU; five steps ran uncompiled",
        options=(
            "--policy.num_attention_heads=2",
            "--policy.attention_head_dim=24",
            "--policy.text_dim=32",
            "--policy.freq_dim=16",
            "--policy.ffn_dim=64",
            "--policy.num_layers=1",
            '--policy.obs_cam_keys=["observation.images.front","observation.images.wrist"]',
            "--policy.used_action_channel_ids=[0,1]",
            "--policy.height=32",
            "--policy.width=32",
            "--policy.frame_chunk_size=1",
        ),
        every_time=("--env.discover_packages_path=uncompiled",),
        evaluated_with=("--policy.frame_chunk_size=2",),  # the first chunk lacks a frame
        backbones=("robbyant/lingbot-va-base",),
    ),
    PolicyTrial(
        "gaussian_actor",
        "reward",
        "not possible",
        reason="it is the actor of reinforcement learning on a robot, which lerobot-train does not run",
        stages=(),
    ),
)
"""Policies on video models, Qwen, InternVL and GR00T, and the one that lerobot-train cannot train."""

OF_REWARD_MODELS: tuple[Stage, ...] = ("train", "fine-tune", "resume")
REWARD_MODELS: tuple[PolicyTrial, ...] = (
    PolicyTrial(
        "reward_classifier",
        "reward-small",
        "trains",
        options=(
            "--reward_model.hidden_dim=16",
            "--reward_model.latent_dim=16",
        ),
        backbones=("lerobot/resnet10",),
        trusted=("lerobot/resnet10",),
        stages=OF_REWARD_MODELS,
        reward_model=True,
    ),
    PolicyTrial(
        "sarm",
        "two-cameras",
        "trains",
        options=(
            "--reward_model.image_key=observation.images.front",
            "--reward_model.hidden_dim=32",
            "--reward_model.num_heads=2",
            "--reward_model.num_layers=1",
            "--reward_model.n_obs_steps=2",
            "--reward_model.max_rewind_steps=1",
            "--reward_model.frame_gap=1",
        ),
        backbones=("openai/clip-vit-base-patch32",),
        stages=OF_REWARD_MODELS,
        reward_model=True,
    ),
    PolicyTrial(
        "robometer",
        "pusht-camera",
        "not possible",
        reason="it is zero-shot, so lerobot-train has nothing to train in it",
        reward_model=True,
        stages=(),
    ),
    PolicyTrial(
        "topreward",
        "pusht-camera",
        "not possible",
        reason="it is zero-shot, so lerobot-train has nothing to train in it",
        reward_model=True,
        stages=(),
    ),
)

TRIALS = (*POLICIES, *LARGE_POLICIES, *REWARD_MODELS)

PUBLISHED = ("act", "smolvla")
"""The types of which a training really published to a Hub of this machine, by hand; smolvla as an adapter."""
