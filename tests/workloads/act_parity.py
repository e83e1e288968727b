"""Compare our ACT with LeRobot's, in its environment: `python act_parity.py WHAT CASE,CASE FOLDER` prints JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

CAMERAS = {"observation.images.left": [3, 64, 96], "observation.images.right": [3, 64, 96]}
CASES = {
    "state": {"inputs": {"observation.state": ("STATE", [2]), "observation.environment_state": ("ENV", [16])}},
    "cameras": {
        "inputs": {"observation.state": ("STATE", [3]), **{name: ("VISUAL", shape) for name, shape in CAMERAS.items()}}
    },
    "pre-norm": {
        "inputs": {"observation.state": ("STATE", [2]), "observation.environment_state": ("ENV", [16])},
        "options": {"pre_norm": True, "feedforward_activation": "gelu", "n_decoder_layers": 2},
    },
    "without VAE": {
        "inputs": {"observation.environment_state": ("ENV", [16]), "observation.state": ("STATE", [2])},
        "options": {"use_vae": False},
    },
}
SIZES = {
    "dim_model": 32,
    "n_heads": 4,
    "dim_feedforward": 64,
    "n_encoder_layers": 2,
    "n_vae_encoder_layers": 2,
    "chunk_size": 8,
    "n_action_steps": 8,
    "latent_dim": 8,
}


def make_lerobot(case, **options):
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy

    def feature(kind, shape):
        return PolicyFeature(type=FeatureType[kind], shape=tuple(shape))

    config = ACTConfig(
        input_features={name: feature(*given) for name, given in case["inputs"].items()},
        output_features={"action": feature("ACTION", [2])},
        device="cpu",
        pretrained_backbone_weights=None,
        push_to_hub=False,
        **{**SIZES, **case.get("options", {}), **options},
    )
    return ACTPolicy(config)


def make_statistics(case):
    generator = torch.Generator().manual_seed(1)
    statistics = {}
    for name, (kind, shape) in {**case["inputs"], "action": ("ACTION", [2])}.items():
        size = (3, 1, 1) if kind == "VISUAL" else tuple(shape)
        statistics[name] = {
            "mean": torch.rand(size, generator=generator),
            "std": torch.rand(size, generator=generator) + 0.5,
        }
    return statistics


def make_batch(case, count, generator):
    batch = {name: torch.rand((count, *shape), generator=generator) for name, (_, shape) in case["inputs"].items()}
    batch["action"] = torch.rand((count, SIZES["chunk_size"], 2), generator=generator)
    lengths = torch.randint(1, SIZES["chunk_size"] + 1, (count, 1), generator=generator)
    batch["action_is_pad"] = torch.arange(SIZES["chunk_size"]).unsqueeze(0) >= lengths
    return batch


def make_ours(theirs):
    from robotrain_workloads.rosbag_act_train.act.config import ActConfig
    from robotrain_workloads.rosbag_act_train.act.model import Act

    content = json.loads(json.dumps(theirs.config.__dict__, default=_plain))
    content["type"] = "act"
    model = Act(ActConfig.load(content))
    model.load_state_dict({name.removeprefix("model."): value for name, value in theirs.state_dict().items()})
    return model


def _plain(value):
    if hasattr(value, "value"):
        return value.value
    return {"type": value.type.value, "shape": list(value.shape)}


def compare_outputs(case, folder):
    """Same weights, same random state: outputs and loss."""
    torch.manual_seed(0)
    theirs = make_lerobot(case)
    ours = make_ours(theirs)
    batch = make_batch(case, 5, torch.Generator().manual_seed(2))
    facts = {}
    theirs.train()
    ours.train()
    torch.manual_seed(3)
    their_loss, parts = theirs.forward(dict(batch))
    torch.manual_seed(3)
    loss = ours.compute_loss(batch)
    facts["loss"] = abs(float(their_loss) - float(loss.total))
    facts["l1"] = abs(parts["l1_loss"] - float(loss.l1))
    facts["kl"] = abs(parts["kld_loss"] - float(loss.kl)) if loss.kl is not None else float("kld_loss" in parts)
    ours.eval()
    inputs = {name: value for name, value in batch.items() if not name.startswith("action")}
    with torch.no_grad():
        facts["actions"] = float((theirs.predict_action_chunk(dict(inputs)) - ours(inputs).actions).abs().max())
    return facts


def exchange(case, folder):
    """Our checkpoint loads strictly into LeRobot and acts the same, and LeRobot's into ours."""
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors
    from robotrain_workloads.rosbag_act_train.act.policy_files import Statistics, load_policy, save_policy

    torch.manual_seed(0)
    ours = make_ours(make_lerobot(case, n_action_steps=1))
    given = {name: one for name, one in make_statistics(case).items() if "environment" not in name}
    statistics = Statistics({n: one["mean"] for n, one in given.items()}, {n: one["std"] for n, one in given.items()})
    first, second = folder / "ours", folder / "theirs"
    first.mkdir(parents=True)
    save_policy(first, ours, statistics)
    theirs = ACTPolicy.from_pretrained(first, strict=True)
    before, after = make_pre_post_processors(theirs.config, pretrained_path=str(first))
    generator = torch.Generator().manual_seed(4)
    observation = {name: torch.rand((1, *shape), generator=generator) for name, (_, shape) in case["inputs"].items()}
    their_action = after(theirs.select_action(before(dict(observation))))
    theirs.save_pretrained(second)
    before.save_pretrained(second)
    after.save_pretrained(second)
    loaded, read = load_policy(second)
    loaded.eval()
    with torch.no_grad():
        predicted = loaded(read.normalize(observation)).actions[:, 0]
    our_action = predicted * read.std["action"] + read.mean["action"]
    return {"actions": float((their_action - our_action).abs().max())}


def train(case, folder):
    """200 steps with the same data order and random state: the largest difference of the loss."""
    torch.manual_seed(0)
    theirs = make_lerobot(case)
    ours = make_ours(theirs)
    from robotrain_workloads.rosbag_act_train.model_setup import make_optimizer, take_step

    groups = theirs.get_optim_params()
    their_optimizer = torch.optim.AdamW(groups, lr=1e-3, weight_decay=1e-4)
    for group in their_optimizer.param_groups:
        group["lr"] = 1e-3
    our_optimizer = make_optimizer(ours, lr=1e-3, lr_backbone=1e-3, weight_decay=1e-4)
    data = [make_batch(case, 8, torch.Generator().manual_seed(step)) for step in range(20)]
    worst, first, last = 0.0, 0.0, 0.0
    for step in range(200):
        batch = data[step % len(data)]
        torch.manual_seed(1000 + step)
        theirs.train()
        loss, _ = theirs.forward(dict(batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 10.0)
        their_optimizer.step()
        their_optimizer.zero_grad()
        torch.manual_seed(1000 + step)
        ours.train()
        own = ours.compute_loss(batch)
        take_step(ours, our_optimizer, own.total)
        worst = max(worst, abs(float(loss) - float(own.total)))
        first, last = first or float(loss), float(loss)
    return {"loss": worst, "first": first, "last": last}


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, names, folder = sys.argv[1:]
    act = {"compare": compare_outputs, "exchange": exchange, "train": train}[what]
    print(json.dumps({name: act(CASES[name], Path(folder, name)) for name in names.split(",")}))
