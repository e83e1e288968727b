"""Checkpoints of rsl_rl and skrl with weights of their own real classes, exported: `python isaac_policies.py FOLDER`.

Run by Python of the stand-in's environments. It prints, as JSON, by policy: how far the rebuilt, the TorchScript and
the ONNX policy are from the library's own; and by bad checkpoint the problem with it.
"""

import copy
import json
import os
import pathlib
import sys
from pathlib import Path

import numpy
import torch
import yaml
from tensordict import TensorDict

ROOT = Path(__file__).parents[2]
EXPORT = ROOT / "workloads/robotrain_workloads/isaac_export"
sys.path[:0] = [str(EXPORT / "image"), str(EXPORT), str(ROOT / "tests/isaac_stand_in/lab")]

import actor as actors  # noqa: E402
import convert  # noqa: E402
import onnx_worker  # noqa: E402
from standin import agents, cartpole  # noqa: E402

OBSERVATIONS, ACTIONS, BATCH, STEPS = 4, 1, 5, 30


def write(folder, name, content, agent):
    (folder / "params").mkdir(parents=True)
    torch.save(content, folder / name)
    (folder / "params" / "agent.yaml").write_text(yaml.dump({**agent, "a_tuple": (1, 2)}))
    return str(folder / name), str(folder / "params" / "agent.yaml")


def spread_normalizer(module):
    for name, buffer in module.named_buffers():
        if name.endswith("_mean"):
            buffer.normal_()
        elif name.endswith("_std"):
            buffer.uniform_(0.1, 3)


def make_rsl_rl(folder, kind, activation="elu", clip=None):
    """Return the files of a checkpoint, and the library's own policy of an observation."""
    config = agents.rsl_cfg(kind) | {"clip_actions": clip}
    part = config["policy" if agents.OLD_RSL else "actor"]
    part |= {"activation": activation, **({} if kind == "mlp" else {"rnn_num_layers": 2})}
    options = copy.deepcopy({name: value for name, value in part.items() if name != "class_name"})
    example = TensorDict({"policy": torch.zeros(2, OBSERVATIONS)}, batch_size=[2])
    if agents.OLD_RSL:
        from rsl_rl.modules import ActorCritic, ActorCriticRecurrent

        model = (ActorCritic if kind == "mlp" else ActorCriticRecurrent)(
            example, config["obs_groups"], ACTIONS, **options
        )
        content, act = {"model_state_dict": model.state_dict()}, model.act_inference
    else:
        from rsl_rl.models import MLPModel, RNNModel

        model = (MLPModel if kind == "mlp" else RNNModel)(example, config["obs_groups"], "actor", ACTIONS, **options)
        content, act = {"actor_state_dict": model.state_dict(), "critic_state_dict": {}}, model
    spread_normalizer(model)
    model.eval()
    files = write(folder, "model_7.pt", {**content, "optimizer_state_dict": {}, "iter": 7, "infos": None}, config)

    def policy(observations):
        actions = act(TensorDict({"policy": observations}, batch_size=[len(observations)]))
        return actions if clip is None else actions.clamp(-clip, clip)

    return files, policy


def make_skrl(folder, separate=False, activation="elu", output="ACTIONS"):
    """Return the files of a checkpoint that skrl's agent saved, and its own policy of an observation."""
    from skrl.envs.wrappers.torch.isaaclab_envs import IsaacLabWrapper
    from skrl.utils.runner.torch import Runner

    config = agents.skrl_cfg("mlp")
    config["models"]["separate"] = separate
    policy = config["models"]["policy"]
    policy["network"][0]["activations"], policy["output"] = activation, output
    config["agent"]["experiment"] |= {"write_interval": 0, "checkpoint_interval": 0}
    env = IsaacLabWrapper(cartpole.make_env(BATCH, 0))
    agent = Runner(env, copy.deepcopy(config)).agent
    scaler = agent._state_preprocessor if agents.OLD_SKRL else agent._observation_preprocessor
    scaler(torch.randn(64, OBSERVATIONS) * 3 + 1, train=True)
    files = write(folder, "agent_320.pt", {}, config)
    agent.save(files[0])

    def act(observations):
        state = () if agents.OLD_SKRL else (None,)
        return agent.act(observations, *state, timestep=0, timesteps=0)[-1]["mean_actions"]

    return files, act


def measure(files, policy, folder):
    """Return the largest differences of each form from the library's own policy, with states carried on."""
    answer = convert.convert(*files, str(folder), ("onnx", "jit"))
    assert "problem" not in answer, answer
    _, actor = actors.load_actor(*files)
    jit, onnx = torch.jit.load(str(folder / "policy.pt")), onnx_worker.OnnxPolicy(folder / "policy.onnx")
    states, worst = actor.make_states(BATCH), {"rebuilt": 0.0, "jit": 0.0, "onnx": 0.0}
    for observations in torch.randn(STEPS, BATCH, OBSERVATIONS) * 5:
        wanted = policy(observations)
        result = actor(observations, *states)
        rebuilt, states = (result[0], result[1:]) if states else (result, ())
        found = {"rebuilt": rebuilt, "jit": jit(observations)}
        found["onnx"] = torch.from_numpy(onnx.act(observations.numpy()))
        for name, actions in found.items():
            worst[name] = max(worst[name], float((actions - wanted).abs().max()))
    one = torch.zeros(1, OBSERVATIONS)
    jit.reset(), onnx.reset()
    same = numpy.allclose(jit(one).numpy(), onnx.act(one.numpy()), atol=1e-5)
    return {**worst, "passed": answer["jit"]["passed"], "batch_1": same, "files": sorted(os.listdir(folder))}


def refuse(folder, change, make=make_rsl_rl, kind=("mlp",), name="content"):
    """Return the problem with a checkpoint whose content or agent was changed."""
    files, _ = make(folder, *kind)
    content, agent = torch.load(files[0], weights_only=True), yaml.unsafe_load(Path(files[1]).read_text())
    change({"content": content, "agent": agent}[name])
    torch.save(content, files[0])
    Path(files[1]).write_text(yaml.dump(agent))
    return convert.describe(*files)[0].get("problem", "")


def main(folder):
    torch.manual_seed(0)
    made = {
        "rsl_rl mlp mish": make_rsl_rl(folder / "mlp", "mlp", "mish"),
        "rsl_rl mlp clipped": make_rsl_rl(folder / "clipped", "mlp", "crelu", 0.1),
        "rsl_rl lstm": make_rsl_rl(folder / "lstm", "lstm"),
        "rsl_rl gru": make_rsl_rl(folder / "gru", "gru"),
        "skrl shared": make_skrl(folder / "shared"),
        "skrl separate": make_skrl(folder / "separate", True, "softsign", "0.5 * tanh(ACTIONS)"),
    }
    with torch.no_grad():
        policies = {name: measure(*one, folder / f"exported {name}") for name, one in made.items()}
    part = "policy" if agents.OLD_RSL else "actor"
    state = "model_state_dict" if agents.OLD_RSL else "actor_state_dict"
    sizes = "actor_hidden_dims" if agents.OLD_RSL else "hidden_dims"
    normalized = "actor_obs_normalization" if agents.OLD_RSL else "obs_normalization"
    stds = "std" if agents.OLD_RSL else "distribution.std_param"
    scaler = "state_preprocessor" if agents.OLD_SKRL else "observation_preprocessor"
    agent = {"name": "agent"}
    refused = {
        "pickled": refuse(folder / "bad1", lambda content: content.update(infos=pathlib.Path("x"))),
        "recurrent skrl": refuse(
            folder / "bad2", lambda one: one["policy"].update({"lstm.weight_ih_l0": torch.zeros(8, 4)}), make_skrl, ()
        ),
        "other sizes": refuse(folder / "bad3", lambda one: one[part].update({sizes: [32, 16]}), **agent),
        "activation": refuse(folder / "bad4", lambda one: one[part].update(activation="square"), **agent),
        "no normalizer": refuse(folder / "bad5", lambda one: one[part].update({normalized: False}), **agent),
        "std": refuse(folder / "bad6", lambda one: one[state].pop(stds)),
        "rnn": refuse(folder / "bad7", lambda one: one[part].update(rnn_type="gru"), kind=("lstm",), **agent),
        "skrl scaler": refuse(folder / "bad8", lambda one: one["agent"].update({scaler: None}), make_skrl, (), "agent"),
        "skrl network": refuse(
            folder / "bad9",
            lambda one: one["models"]["policy"]["network"][0].update(activations=[]),
            make_skrl,
            (),
            "agent",
        ),
    }
    print("::policies:: " + json.dumps({"policies": policies, "refused": refused}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
