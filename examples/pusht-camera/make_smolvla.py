"""Make a tiny SmolVLA of random weights to fine-tune, and the backbone that it names: `python make_smolvla.py OUT`.

Runs in any environment with LeRobot and its extra smolvla, without internet. The base policy reads one camera,
`observation.images.camera1`, and the text of the task, as `lerobot/smolvla_base` does; it has learnt nothing.
"""

import os
import sys
from pathlib import Path

BACKBONE = "HuggingFaceTB/SmolVLM2-500M-Video-Instruct"
COMMIT = "0" * 40
SENTENCES = ("push the T shaped block onto the target", "0123456789 .,:;!?")
ROLES = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<pad>", "unk_token": "<unk>"}
NAMED = {
    "image_token": "<image>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
}


def make_backbone(folder: Path) -> None:
    """Write configuration, tokenizer and processor. SmolVLA has the weights itself, unless it is told to load them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        PreTrainedTokenizerFast,
        SmolVLMConfig,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    words = Tokenizer(models.BPE(unk_token=None))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=[*ROLES.values(), *NAMED.values()], initial_alphabet=letters
    )
    words.train_from_iterator(SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, model_max_length=512, extra_special_tokens=NAMED, **ROLES
    )
    vision = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = SmolVLMConfig(
        vision_config={"model_type": "smolvlm_vision", "image_size": 64, "patch_size": 16, **vision},
        text_config={
            **{"model_type": "llama", "vocab_size": len(tokenizer), "num_key_value_heads": 1, "head_dim": 8},
            **{"pad_token_id": tokenizer.pad_token_id, "max_position_embeddings": 1024, **text},
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=2,
        tie_word_embeddings=False,
    )
    config.save_pretrained(folder)
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(), tokenizer, video_processor=SmolVLMVideoProcessor(), image_seq_len=4
    )
    processor.save_pretrained(folder)


def make_policy(folder: Path) -> None:
    """Write the policy and its processors, which name the backbone as the Hub does."""
    import torch
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.factory import make_pre_post_processors
    from lerobot.policies.smolvla.configuration_smolvla import SmolVLAConfig
    from lerobot.policies.smolvla.modeling_smolvla import SmolVLAPolicy

    torch.manual_seed(0)
    config = SmolVLAConfig(
        device="cpu",
        input_features={
            "observation.state": PolicyFeature(type=FeatureType.STATE, shape=(2,)),
            "observation.images.camera1": PolicyFeature(type=FeatureType.VISUAL, shape=(3, 64, 64)),
        },
        output_features={"action": PolicyFeature(type=FeatureType.ACTION, shape=(2,))},
        chunk_size=8,
        n_action_steps=4,
        resize_imgs_with_padding=(64, 64),
        tokenizer_max_length=32,
        num_vlm_layers=2,
    )
    policy = SmolVLAPolicy(config)
    policy.save_pretrained(folder)
    statistics = {name: {"mean": torch.zeros(2), "std": torch.ones(2)} for name in ("observation.state", "action")}
    for processor in make_pre_post_processors(config, dataset_stats=statistics):
        processor.save_pretrained(folder)


def main(out: Path) -> None:
    """Write `backbones/OWNER/NAME` and `base`."""
    backbone = out / "backbones" / BACKBONE
    make_backbone(backbone)
    entry = out / "hub" / f"models--{BACKBONE.replace('/', '--')}"
    (entry / "refs").mkdir(parents=True)
    (entry / "refs/main").write_text(COMMIT)
    (entry / "snapshots").mkdir()
    (entry / "snapshots" / COMMIT).symlink_to(backbone.resolve())
    os.environ |= {"HF_HUB_CACHE": str(out / "hub"), "HF_HUB_OFFLINE": "1"}  # before LeRobot is imported
    make_policy(out / "base")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
