"""Make tiny random backbones and tokenizers: `python tiny_backbones.py OUT [OWNER/NAME ...]`, in LeRobot's environment.

Each repository is a folder OUT/OWNER/NAME with the files that LeRobot reads of the real one, below 1 MB, made offline.
`serve` puts such folders into a Hugging Face cache, so that names in options and names fixed in code find them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

SENTENCES = ("push the T shaped block onto the target", "Action: 0123456789 | State, Task: .;!?")

MAKERS: dict[str, Callable[[Path], None]] = {}
"""What writes the files of a repository into an empty folder, by OWNER/NAME."""


def repository(name: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register what makes the repository of that name."""

    def register(make: Callable[[Path], None]) -> Callable[[Path], None]:
        MAKERS[name] = make
        return make

    return register


def make_repositories(out: Path, names: Iterable[str] = ()) -> list[Path]:
    """Make the repositories, all without names, and return their folders; those that are there stay."""
    folders = []
    for name in names or MAKERS:
        folder = out / name
        if not folder.is_dir():
            partial = folder.with_name(folder.name + ".partial")
            partial.mkdir(parents=True, exist_ok=True)
            MAKERS[name](partial)
            partial.rename(folder)
        folders.append(folder)
    return folders


def serve(out: Path, cache: Path) -> None:
    """Let a Hugging Face cache (HF_HUB_CACHE) hold every repository below `out`, at a made-up commit.

    Offline, transformers 5.5 refuses a tokenizer without a `config.json` beside it, which it does not need: an empty
    one takes its place (huggingface/lerobot#4131).
    """
    for folder in sorted(path for path in out.glob("*/*") if path.is_dir()):
        owner, name = folder.parts[-2:]
        commit = hashlib.sha1(f"{owner}/{name}".encode()).hexdigest()
        entry = cache / f"models--{owner}--{name}"
        (entry / "refs").mkdir(parents=True, exist_ok=True)
        (entry / "refs" / "main").write_text(commit)
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            link = entry / "snapshots" / commit / file.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(file.resolve())
            if file.name == "tokenizer_config.json" and not file.with_name("config.json").is_file():
                link.with_name("config.json").write_text("{}")


def make_byte_tokenizer(specials: Iterable[str], size: int):
    """Return a byte-level tokenizer of about `size` words, with `specials` first."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(unk_token=None))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials), initial_alphabet=alphabet)
    made.train_from_iterator(SENTENCES, trainer)
    return made


def save_tokenizer(folder: Path, named: dict[str, str] | None = None, size: int = 300, **roles: str):
    """Write a tokenizer and return it. `roles`: bos_token and the like; `named`: further tokens that get attributes."""
    from transformers import PreTrainedTokenizerFast

    named = named or {}
    inner = make_byte_tokenizer([*roles.values(), *named.values()], size)
    made = PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=512, extra_special_tokens=named, **roles)
    made.save_pretrained(folder)
    return made


@repository("HuggingFaceTB/SmolVLM2-500M-Video-Instruct")
def make_smolvlm(folder: Path) -> None:
    """SmolVLA: configuration, weights (read only with `load_vlm_weights`) and processor."""
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    named = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    roles = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<pad>", "unk_token": "<unk>"}
    tokenizer = save_tokenizer(folder, named, **roles)
    vision = {
        **{"model_type": "smolvlm_vision", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1},
        **{"num_attention_heads": 2, "image_size": 64, "patch_size": 16},
    }
    text = {
        **{"model_type": "llama", "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128},
        **{"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16},
        **{"pad_token_id": tokenizer.pad_token_id, "max_position_embeddings": 1024},
    }
    config = SmolVLMConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=2,
        tie_word_embeddings=False,
    )
    SmolVLMForConditionalGeneration(config).save_pretrained(folder)
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(), tokenizer, video_processor=SmolVLMVideoProcessor(), image_seq_len=4
    )
    processor.save_pretrained(folder)


def save_clip(folder: Path, projection: int) -> None:
    """Write the weights of both towers, with features of `projection` values, and the tokenizer."""
    from transformers import CLIPConfig, CLIPModel

    roles = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<pad>", "unk_token": "<unk>"}
    tokenizer = save_tokenizer(folder, **roles)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "pad")}
    text, vision = {**tower, **ids, "vocab_size": len(tokenizer)}, {**tower, "image_size": 64, "patch_size": 16}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=projection)).save_pretrained(folder)


@repository("openai/clip-vit-base-patch16")
def make_clip(folder: Path) -> None:
    """Multi-task DiT."""
    save_clip(folder, projection=32)


@repository("facebook/bart-large")
def make_bart(folder: Path) -> None:
    """X-VLA: the tokenizer alone."""
    save_tokenizer(folder, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    (folder / "config.json").write_text(json.dumps({"model_type": "bart"}))


@repository("google/paligemma-3b-pt-224")
def make_paligemma(folder: Path) -> None:
    """π0, π0.5 and π0-FAST: the tokenizer alone; FAST takes its action tokens from the end of the vocabulary."""
    save_tokenizer(folder, size=700, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>")
    (folder / "config.json").write_text(json.dumps({"model_type": "paligemma"}))


FAST_CODE = '''"""A stand-in for the FAST action tokenizer: rounds actions to bins, one token each."""

import numpy as np
from transformers.processing_utils import ProcessorMixin


class UniversalActionProcessor(ProcessorMixin):
    attributes = ["bpe_tokenizer"]
    bpe_tokenizer_class = "AutoTokenizer"

    def __init__(self, bpe_tokenizer, scale=10, vocab_size=128, min_token=0):
        self.scale, self.vocab_size, self.min_token = scale, vocab_size, min_token
        super().__init__(bpe_tokenizer)

    def __call__(self, action_chunk):
        bins = np.around(np.asarray(action_chunk) * self.scale) + self.vocab_size // 2
        return [row.clip(0, self.vocab_size - 1).astype(int).ravel().tolist() for row in bins]

    def decode(self, tokens, *, time_horizon, action_dim):
        bins = np.asarray([np.resize(row, time_horizon * action_dim) for row in tokens])
        return (bins.reshape(-1, time_horizon, action_dim) - self.vocab_size // 2) / self.scale
'''


@repository("lerobot/fast-action-tokenizer")
def make_fast(folder: Path) -> None:
    """π0-FAST: a processor whose class is code of the repository, laid out as transformers 5 saves such a processor."""
    save_tokenizer(folder / "bpe_tokenizer", bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    (folder / "processing_action_tokenizer.py").write_text(FAST_CODE)
    name = "UniversalActionProcessor"
    settings = {"processor_class": name, "auto_map": {"AutoProcessor": f"processing_action_tokenizer.{name}"}}
    (folder / "processor_config.json").write_text(json.dumps({**settings, "scale": 10, "vocab_size": 128}))


if __name__ == "__main__":
    import tiny_backbones
    import tiny_large_backbones  # noqa: F401  (registers its repositories with the module, not with this program)

    for made in tiny_backbones.make_repositories(Path(sys.argv[1]), sys.argv[2:]):
        print(made, sum(file.stat().st_size for file in made.rglob("*") if file.is_file()))
