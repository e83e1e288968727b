"""Tiny random repositories of the large families: Qwen, InternVL, GR00T, MolmoAct, V-JEPA, Wan and ResNet.

`tiny_backbones.py` says what they are for and makes them.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tiny_backbones import make_byte_tokenizer, repository, save_clip, save_tokenizer

QWEN_TOKENS = (
    *("<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
QWEN_TEMPLATE = """{%- for message in messages %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
{% if 'image' in part %}<|vision_start|><|image_pad|><|vision_end|>\
{% elif 'video' in part %}<|vision_start|><|video_pad|><|vision_end|>\
{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
ROTARY = {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 10000.0}
TEXT = {
    **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"num_key_value_heads": 2, "max_position_embeddings": 2048},
}
VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32}


def save_qwen_tokenizer(folder: Path, further: tuple[str, ...] = (), size: int = 320):
    """Write Qwen's tokenizer with its chat template and return it; `further`: special tokens that a policy asks for."""
    from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

    roles = {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    inner = make_byte_tokenizer([*roles.values(), *QWEN_TOKENS, *further], size)
    PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=2048, **roles).save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "tokenizer_class": "Qwen2Tokenizer"}))
    made = Qwen2Tokenizer.from_pretrained(folder)
    made.chat_template = QWEN_TEMPLATE
    made.save_pretrained(folder)
    return made


def get_qwen_ids(tokenizer) -> dict[str, int]:
    """Return the token ids that a Qwen-VL configuration names."""
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


@repository("Qwen/Qwen3-VL-2B-Instruct")
@repository("nvidia/Cosmos-Reason2-2B")
def make_qwen3(folder: Path) -> None:
    """VLA-JEPA, and GR00T's tokenizer: configuration, weights and processor."""
    import torch
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer = save_qwen_tokenizer(folder)
    images = Qwen2VLImageProcessor(patch_size=16, merge_size=2, min_pixels=64 * 64, max_pixels=64 * 64)
    processor = Qwen3VLProcessor(images, tokenizer, Qwen3VLVideoProcessor(), chat_template=QWEN_TEMPLATE)
    processor.save_pretrained(folder)
    rotary = {**ROTARY, "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config={**TEXT, "vocab_size": len(tokenizer), "head_dim": 16, "rope_parameters": rotary},
        vision_config={**VISION, "patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        tie_word_embeddings=True,
        **get_qwen_ids(tokenizer),
    )
    Qwen3VLForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(folder)


def save_qwen25_processor(folder: Path, tokenizer):
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    images, videos = Qwen2VLImageProcessor(), Qwen2VLVideoProcessor()
    made = Qwen2_5_VLProcessor(images, tokenizer, videos, chat_template=QWEN_TEMPLATE)
    made.save_pretrained(folder)
    return made


@repository("Qwen/Qwen2.5-VL-3B-Instruct")
def make_qwen25(folder: Path) -> None:
    """EO-1: configuration, weights and processor; it adds seven tokens, so the vocabulary has room for them."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = save_qwen_tokenizer(folder)
    save_qwen25_processor(folder, tokenizer)
    text = {**TEXT, "vocab_size": len(tokenizer) + 8, "rope_parameters": ROTARY}
    config = Qwen2_5_VLConfig(
        text_config={**text, "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id},
        vision_config={**VISION, "fullatt_block_indexes": [1]},
        tie_word_embeddings=True,
        **get_qwen_ids(tokenizer),
    )
    Qwen2_5_VLForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(folder)


@repository("x-square-robot/wall-oss-flow")
def make_wall(folder: Path) -> None:
    """WALL-X: Qwen2.5-VL with two experts and an action head for 20 values, and its processor."""
    import torch
    from lerobot.policies.wall_x.modeling_wall_x import Qwen2_5_VLMoEForAction
    from lerobot.policies.wall_x.qwen_model.configuration_qwen2_5_vl import Qwen2_5_VLConfig
    from safetensors.torch import save_file

    tokenizer = save_qwen_tokenizer(folder, ("<|propri|>", "<|action|>"))
    processor = save_qwen25_processor(folder, tokenizer)
    expert = {"hidden_size": 32, "intermediate_size": 64, "hidden_act": "silu"}
    text = {
        **{**TEXT, "vocab_size": len(tokenizer), "rope_parameters": ROTARY, "bos_token_id": None},
        **{"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id},
        **{"num_experts": 2, "experts": [expert, expert], "dim_inputs": [32, 32], "mlp_moe": True},
        **{"attention_moe": False, "dof_config": {"arm": 20}},
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config={**VISION, "fullatt_block_indexes": [1]},
        tie_word_embeddings=False,
        agent_pos_config={"arm": 20},
        **get_qwen_ids(tokenizer),
    )
    config._attn_implementation = "eager"
    weights = Qwen2_5_VLMoEForAction(config, processor=processor).state_dict()
    save_file({key: value.to(torch.bfloat16).clone() for key, value in weights.items()}, folder / "model.safetensors")
    config.save_pretrained(folder)


@repository("OpenGVLab/InternVL3-1B-hf")
def make_internvl(folder: Path) -> None:
    """EVO-1: configuration, weights and tokenizer, for images of 32x32 pixels, 4 tokens each."""
    import torch
    from transformers import InternVLConfig, InternVLModel

    tokenizer = save_qwen_tokenizer(folder, ("<img>", "</img>", "<IMG_CONTEXT>"))
    vision = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = InternVLConfig(
        vision_config={**vision, "image_size": 32, "patch_size": 8},
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    InternVLModel(config).to(torch.bfloat16).save_pretrained(folder)


@repository("nvidia/GR00T-N1.7-3B")
def make_groot(folder: Path) -> None:
    """GR00T: the base model. It names a backbone that is made here: LeRobot holds the size of the real one in code."""
    import torch
    from lerobot.policies.groot.groot_n1_7 import GR00TN17, GR00TN17Config

    attention = {"positional_embeddings": None, "num_attention_heads": 2, "attention_head_dim": 16}
    attention |= {"dropout": 0.2, "final_dropout": True}
    config = GR00TN17Config(
        architectures=["Gr00tN1d7"],
        model_name="Qwen/Qwen3-VL-2B-Instruct",
        select_layer=1,
        backbone_embedding_dim=32,
        hidden_size=32,
        input_embedding_dim=32,
        max_num_embodiments=11,
        max_seq_len=64,
        diffusion_model_cfg={
            **{**attention, "num_layers": 2, "norm_type": "ada_norm"},
            **{"output_dim": 32, "interleave_self_attention": True},
        },
        vl_self_attention_cfg={**attention, "num_layers": 1},
    )
    with tempfile.TemporaryDirectory() as beside:
        make_qwen3(Path(beside))
        made = GR00TN17(type(config)(**{**config.to_dict(), "model_name": beside}), load_backbone_weights=False)
    made.config.model_name = config.model_name
    made.to(torch.bfloat16).save_pretrained(folder)


@repository("facebook/vjepa2-vitl-fpc64-256")
def make_vjepa(folder: Path) -> None:
    """VLA-JEPA: weights and video processor, for cameras of 64 pixels."""
    from transformers import VJEPA2Config, VJEPA2Model, VJEPA2VideoProcessor

    tower = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1, "mlp_ratio": 2}
    predictor = {"pred_hidden_size": 32, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    config = VJEPA2Config(crop_size=64, frames_per_clip=4, num_pooler_layers=1, **tower, **predictor)
    VJEPA2Model(config).save_pretrained(folder)
    VJEPA2VideoProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(folder)


MOLMO_TOKENS = (
    *("<|image|>", "<|video|>", "<im_patch>", "<im_low>", "<im_start>", "<low_res_im_start>", "<im_end>", "<im_col>"),
    *("<frame_start>", "<frame_end>", "<action_output>", "<action_start>", "<action_end>", "<state_start>"),
    *("<state_end>", "<setup_start>", "<setup_end>", "<control_start>", "<control_end>"),
    *(f"<action_{number}>" for number in range(512)),
    *(f"<state_{number}>" for number in range(256)),
)


def get_molmo_ids(tokenizer) -> dict[str, int]:
    """Return the token ids that MolmoAct2's configuration names."""
    names = {
        **{"image_start": "<im_start>", "low_res_image_start": "<low_res_im_start>", "image_end": "<im_end>"},
        **{"frame_start": "<frame_start>", "frame_end": "<frame_end>", "action_output": "<action_output>"},
        **{"action_start": "<action_start>", "action_end": "<action_end>"},
        **{"state_start": "<state_start>", "state_end": "<state_end>"},
    }
    ids = {f"{name}_token_id": token for name, token in names.items()}
    ids |= {"image_low_res_id": "<im_low>", "image_patch_id": "<im_patch>", "image_col_id": "<im_col>"}
    ids |= {"action_token_start_id": "<action_0>", "state_token_start_id": "<state_0>"}
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in ids.items()}


@repository("allenai/MolmoAct2")
def make_molmoact2(folder: Path) -> None:
    """MolmoAct2: configuration, weights, tokenizer and the processor's settings, for images of 28x28 pixels."""
    import torch
    from lerobot.policies.molmoact2.molmoact2_hf_model.configuration_molmoact2 import MolmoAct2Config
    from lerobot.policies.molmoact2.molmoact2_hf_model.modeling_molmoact2 import MolmoAct2ForConditionalGeneration

    tokenizer = save_qwen_tokenizer(folder, MOLMO_TOKENS, size=1100)
    images = {"size": {"height": 28, "width": 28}, "max_crops": 1, "crop_mode": "resize", "patch_size": 14}
    settings = {"image_processor": {**images, "pooling_size": [2, 2]}, "video_processor": {}}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    heads = {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    tower = {**heads, "intermediate_size": 64}
    config = MolmoAct2Config(
        text_config={**tower, "num_hidden_layers": 2, "vocab_size": len(tokenizer), "additional_vocab_size": 16},
        vit_config={**tower, "num_hidden_layers": 2, "image_default_input_size": [28, 28], "image_num_pos": 4},
        adapter_config={**tower, "vit_layers": [-1, -2], "text_hidden_size": 32},
        action_expert_config={
            **{"hidden_size": 32, "num_layers": 2, "num_heads": 2, "timestep_embed_dim": 16, "ffn_multiple_of": 16},
        },
        num_action_tokens=512,
        num_state_tokens=256,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **get_molmo_ids(tokenizer),
    )
    MolmoAct2ForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(folder)


@repository("allenai/MolmoAct2-FAST-Tokenizer")
def make_molmo_fast(folder: Path) -> None:
    """MolmoAct2: the tokenizer of actions, which LeRobot reads with code of its own."""
    save_tokenizer(folder, size=300, pad_token="<pad>")
    settings = {"scale": 10, "vocab_size": 300, "min_token": -100, "action_dim": None, "time_horizon": None}
    (folder / "processor_config.json").write_text(json.dumps(settings))


def save_wan_parts(folder: Path) -> None:
    """Write the image autoencoder and the text encoder of Wan, in 48 channels as FastWAM and LingBot-VA expect."""
    import torch
    from diffusers import AutoencoderKLWan
    from transformers import UMT5Config, UMT5EncoderModel

    encoder = AutoencoderKLWan(
        **{"base_dim": 4, "decoder_base_dim": 4, "z_dim": 48, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1},
        **{"latents_mean": [0.0] * 48, "latents_std": [1.0] * 48, "is_residual": True, "patch_size": 2},
        **{"in_channels": 12, "out_channels": 12, "scale_factor_spatial": 16},
    )
    encoder.to(torch.bfloat16).save_pretrained(folder / "vae")
    config = UMT5Config(vocab_size=256, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)
    UMT5EncoderModel(config).to(torch.bfloat16).save_pretrained(folder / "text_encoder")


def save_umt5_tokenizer(folder: Path) -> None:
    """Write a tokenizer with one token per ASCII character."""
    from transformers import T5TokenizerFast

    letters = [(chr(code), -3.0) for code in range(33, 127)]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -2.0), *letters]
    T5TokenizerFast(vocab=vocabulary, extra_ids=0).save_pretrained(folder)


@repository("Wan-AI/Wan2.2-TI2V-5B-Diffusers")
def make_wan(folder: Path) -> None:
    """FastWAM: the frozen parts."""
    save_wan_parts(folder)


@repository("google/umt5-xxl")
def make_umt5(folder: Path) -> None:
    """FastWAM: the tokenizer."""
    save_umt5_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "umt5"}))


@repository("robbyant/lingbot-va-base")
def make_lingbot(folder: Path) -> None:
    """LingBot-VA: the frozen parts and the tokenizer, read at the first step."""
    save_wan_parts(folder)
    save_umt5_tokenizer(folder / "tokenizer")


@repository("lerobot/resnet10")
def make_resnet(folder: Path) -> None:
    """The reward classifier: a network whose features of an image of 32x32 pixels are 4x4, as those of the real one
    are of 128x128. Its classes are code of the repository, so that `trust_remote_code` runs them.
    """
    from transformers import ResNetConfig, ResNetModel

    ResNetModel(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ).save_pretrained(folder)
    (folder / "configuration_resnet.py").write_text(RESNET_CONFIGURATION)
    (folder / "modeling_resnet.py").write_text(RESNET_CODE)
    settings = json.loads((folder / "config.json").read_text())
    code = {"AutoConfig": "configuration_resnet.ResNet10Config", "AutoModel": "modeling_resnet.ResNet10"}
    settings |= {"model_type": "resnet10", "architectures": ["ResNet10"], "auto_map": code}
    (folder / "config.json").write_text(json.dumps(settings))


RESNET_CONFIGURATION = """from transformers import ResNetConfig


class ResNet10Config(ResNetConfig):
    model_type = "resnet10"
"""
RESNET_CODE = """from transformers import ResNetModel

from .configuration_resnet import ResNet10Config


class ResNet10(ResNetModel):
    config_class = ResNet10Config
"""


@repository("openai/clip-vit-base-patch32")
def make_sarm_clip(folder: Path) -> None:
    """SARM: weights, tokenizer and image processor; it expects features of 512 values."""
    from transformers import CLIPImageProcessor

    save_clip(folder, projection=512)
    CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(folder)
