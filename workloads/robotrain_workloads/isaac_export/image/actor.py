"""The actor of a checkpoint, rebuilt from its weights and `params/agent.yaml`.

What the file lacks comes from the YAML: activation, clipping. What cannot be rebuilt exactly is refused: a policy that
is exported without its normalizer, or with another activation, acts wrongly and looks right. Needs torch and PyYAML.
"""

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import yaml
from torch import nn

RSL_RL_EPSILON = 0.01
"""What rsl_rl adds to the standard deviation; the file does not have it."""
SKRL_EPSILON, SKRL_CLIP = 1e-8, 5.0
RSL_RL_ACTIVATIONS = {
    "elu": nn.ELU,
    "selu": nn.SELU,
    "relu": nn.ReLU,
    "crelu": nn.CELU,  # sic
    "lrelu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "identity": nn.Identity,
}
SKRL_ACTIVATIONS = {
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
}
"""Softmax is not here: skrl does not say along which dimension."""
GAUSSIAN_CLASSES = ("ActorCritic", "ActorCriticRecurrent", "MLPModel", "RNNModel")
SKRL_CLASSES = ("gaussianmixin", "multivariategaussianmixin", "deterministicmixin")
OUTPUT = r"(?:(?P<scale>-?[\d.]+(?:[eE][+-]?\d+)?) ?\* ?)?(?:(?P<name>\w+)\()?(?:Shape\.)?ACTIONS\)?"
"""Expressions for skrl's output: `ACTIONS`, `tanh(ACTIONS)`, `2.0 * tanh(ACTIONS)`."""

State = Mapping[str, Any]
policy_modules: Any = importlib.import_module("policy_modules")  # beside this file


class UnsupportedPolicyError(Exception):
    """A policy that cannot be rebuilt exactly; the message is a sentence."""


def read_yaml(text: str) -> Any:
    """Return the content of params/agent.yaml: what Python objects it names become plain lists, mappings and texts."""

    class AgentLoader(yaml.SafeLoader):
        pass

    def construct(loader: Any, suffix: str, node: Any) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_scalar(node)

    AgentLoader.add_multi_constructor("tag:yaml.org,2002:python/", construct)
    return yaml.load(text, AgentLoader)


def load_actor(checkpoint: str, agent_file: str) -> tuple[str, Any]:
    """Return the backend and the actor of a checkpoint. Raise UnsupportedPolicyError."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    with open(agent_file, encoding="utf-8") as file:
        agent = read_yaml(file.read())
    if not isinstance(agent, dict) or not isinstance(content, dict):
        raise UnsupportedPolicyError("params/agent.yaml does not describe an agent")
    if "model_state_dict" in content or "actor_state_dict" in content:
        return "rsl_rl", make_rsl_rl_actor(content, agent).eval()
    if "policy" in content:
        return "skrl", make_skrl_actor(content, agent).eval()
    raise UnsupportedPolicyError("it is not a checkpoint of rsl_rl or skrl")


# ------------------------------------------------------------ rsl_rl
def make_rsl_rl_actor(content: State, agent: State) -> Any:
    """Return the actor of a checkpoint of rsl_rl 3 (one module) or from 4 on (actor and critic). Raise as above."""
    new = "actor_state_dict" in content
    state = content["actor_state_dict"] if new else content["model_state_dict"]
    layers, norm, memory = (
        ("mlp.", "obs_normalizer.", "rnn.rnn.") if new else ("actor.", "actor_obs_normalizer.", "memory_a.rnn.")
    )
    settings = agent.get("actor") or agent.get("policy")
    if not isinstance(settings, dict):
        raise UnsupportedPolicyError("params/agent.yaml has no settings of a policy of rsl_rl")
    if content.get("obs_norm_state_dict"):
        raise UnsupportedPolicyError("it is of rsl_rl 2, which stored the normalizer apart; rsl_rl 3 and newer do not")
    _check_rsl_rl_class(state, settings, new)
    modules = _make_layers(state, layers, _get_activation(settings.get("activation"), RSL_RL_ACTIVATIONS))
    _check_sizes(settings.get("hidden_dims" if new else "actor_hidden_dims"), modules)
    wanted = settings.get("obs_normalization" if new else "actor_obs_normalization")
    wanted = agent.get("empirical_normalization") if wanted is None else wanted
    normalized = f"{norm}_mean" in state
    if wanted is not None and bool(wanted) != normalized:
        raise UnsupportedPolicyError(
            f"it has {'a' if normalized else 'no'} normalizer, and params/agent.yaml says the opposite: it is not of"
            " this checkpoint"
        )
    normalizer = (
        policy_modules.Normalizer(state[f"{norm}_mean"], state[f"{norm}_std"] + RSL_RL_EPSILON)
        if normalized
        else nn.Identity()
    )
    rnn = _make_rnn(state, memory, str(settings.get("rnn_type") or ""))
    clip = agent.get("clip_actions")
    return policy_modules.Actor(
        normalizer, rnn, modules, policy_modules.ActionOutput(1.0, None if clip is None else float(clip))
    )


def _check_rsl_rl_class(state: State, settings: State, new: bool) -> None:
    """Raise UnsupportedPolicyError unless the layers put out the mean of a Gaussian."""
    name = re.split(r"[.:]", str(settings.get("class_name") or ""))[-1]
    if name and name not in GAUSSIAN_CLASSES:
        raise UnsupportedPolicyError(
            f"policies of the class {name} are not exported: {', '.join(GAUSSIAN_CLASSES)} are"
        )
    distribution = settings.get("distribution_cfg") or {}
    kind = re.split(r"[.:]", str(distribution.get("class_name") or "GaussianDistribution"))[-1]
    if kind != "GaussianDistribution":
        raise UnsupportedPolicyError(f"the distribution {kind} is not exported: GaussianDistribution is")
    stds = ("distribution.std_param", "distribution.log_std_param") if new else ("std", "log_std")
    if settings.get("state_dependent_std") or (not any(one in state for one in stds) and (not new or distribution)):
        raise UnsupportedPolicyError("a standard deviation that depends on the observations is not exported")


def _make_rnn(state: State, prefix: str, kind: str) -> Any:
    """Return the recurrent layer; None if there is none."""
    weights = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    if not weights:
        return None
    rows, hidden = weights["weight_hh_l0"].shape
    found = {3: "gru", 4: "lstm"}.get(rows // hidden, "")
    if not found or (kind and kind.lower() != found):
        raise UnsupportedPolicyError(
            f"its recurrent layer is {found or 'neither LSTM nor GRU'}, and params/agent.yaml says {kind or 'nothing'}"
        )
    count = sum(name.startswith("weight_hh_l") for name in weights)
    rnn = (nn.GRU if found == "gru" else nn.LSTM)(weights["weight_ih_l0"].shape[1], hidden, count)
    rnn.load_state_dict(weights)
    return rnn


# ------------------------------------------------------------ skrl
def make_skrl_actor(content: State, agent: State) -> Any:
    """Return the actor of a checkpoint of skrl 1 or 2. Raise UnsupportedPolicyError."""
    state = content["policy"]
    if any(re.search(r"(?:^|\.)(?:weight|bias)_(?:ih|hh)_l\d", name) for name in state):
        raise UnsupportedPolicyError(
            "recurrent policies of skrl are not exported: skrl builds none from a configuration, so how theirs keeps"
            " its state is in the code of the training alone"
        )
    models, settings = agent.get("models"), agent.get("agent")
    policy = models.get("policy") if isinstance(models, dict) else None
    if not isinstance(policy, dict) or not isinstance(settings, dict):
        raise UnsupportedPolicyError("params/agent.yaml has no settings of a policy of skrl")
    if str(policy.get("class", "")).lower() not in SKRL_CLASSES:
        raise UnsupportedPolicyError(
            f"policies of the class {policy.get('class')} are not exported: continuous ones are"
        )
    if policy.get("clip_mean_actions") or (
        policy.get("clip_actions") and str(policy["class"]).lower() == "deterministicmixin"
    ):
        raise UnsupportedPolicyError("its actions are clipped to the limits of the environment, which no file tells")
    networks = policy.get("network") or []
    if len(networks) != 1:
        raise UnsupportedPolicyError(f"policies of one network are exported, and this one has {len(networks)}")
    network = networks[0]
    source = str(network.get("input", "")).replace("Shape.", "")
    new = any(name in place for name in ("observation_preprocessor", "gae_lambda") for place in (content, settings))
    if source not in (("OBSERVATIONS",) if new else ("OBSERVATIONS", "STATES")):
        raise UnsupportedPolicyError(f"policies that read the observations are exported, and this one reads {source}")
    modules = _make_skrl_layers(state, network)
    output = re.fullmatch(OUTPUT, str(policy.get("output", "")).strip())
    if output is None:
        raise UnsupportedPolicyError(f"the output {policy.get('output')} of its network is not exported: ACTIONS is")
    if output["name"]:
        modules.append(_get_activation(output["name"], SKRL_ACTIVATIONS)())
    normalizer = _make_skrl_normalizer(content, settings, "observation_preprocessor" if new else "state_preprocessor")
    return policy_modules.Actor(
        normalizer, None, modules, policy_modules.ActionOutput(float(output["scale"] or 1.0), None)
    )


def _make_skrl_layers(state: State, network: State) -> Any:
    """Return the layers: those of the container, and the layer of the policy if it shares the container."""
    sizes, activations = network.get("layers") or [], network.get("activations") or []
    if not all(type(size) in (int, float) for size in sizes):
        raise UnsupportedPolicyError("networks of linear layers are exported, and this one has others")
    activations = [activations] if isinstance(activations, str) else list(activations)
    activations = activations * len(sizes) if len(activations) == 1 else activations or [""] * len(sizes)
    known = [SKRL_ACTIVATIONS.get(str(name).lower()) for name in activations]
    if "softmax" in (str(name).lower() for name in activations):
        raise UnsupportedPolicyError("the activation softmax is not exported")
    modules, index, prefix = [], 0, f"{network['name']}_container"
    expected = set[str]()
    for activation in known:  # an activation that skrl does not know is none there
        modules.append(_make_linear(state, f"{prefix}.{index}"))
        expected.add(f"{prefix}.{index}")
        index += 1
        if activation is not None:
            modules.append(activation())
            index += 1
    last = "policy_layer" if "policy_layer.weight" in state else f"{prefix}.{index}"
    modules.append(_make_linear(state, last))
    found = {name.rpartition(".")[0] for name in state if name.startswith(f"{prefix}.")}
    if found != {*expected, last} - {"policy_layer"}:
        raise UnsupportedPolicyError("its layers are not those of params/agent.yaml: it is not of this checkpoint")
    _check_sizes(sizes, modules)
    return nn.Sequential(*modules)


def _make_skrl_normalizer(content: State, settings: State, name: str) -> Any:
    scaler, kind = content.get(name), settings.get(name)
    if bool(scaler) != bool(kind):
        raise UnsupportedPolicyError(
            f"it has {'the' if scaler else 'no'} {name}, and params/agent.yaml says the opposite: it is not of this"
            " checkpoint"
        )
    if not scaler:
        return nn.Identity()
    if str(kind).rpartition(".")[2] != "RunningStandardScaler":
        raise UnsupportedPolicyError(f"the {name} {kind} is not exported: RunningStandardScaler is")
    options = settings.get(f"{name}_kwargs") or {}
    epsilon, clip = float(options.get("epsilon", SKRL_EPSILON)), float(options.get("clip_threshold", SKRL_CLIP))
    deviation = torch.sqrt(scaler["running_variance"].float()) + epsilon
    return policy_modules.Normalizer(scaler["running_mean"].float(), deviation, clip)


# ------------------------------------------------------------ layers
def _get_activation(name: object, known: Mapping[str, Any]) -> Any:
    """Return the class of an activation. Raise UnsupportedPolicyError."""
    if str(name).lower() not in known:
        raise UnsupportedPolicyError(f"the activation {name} is not exported: {', '.join(known)} are")
    return known[str(name).lower()]


def _make_linear(state: State, name: str) -> Any:
    weight, bias = state.get(f"{name}.weight"), state.get(f"{name}.bias")
    if weight is None or weight.dim() != 2:
        raise UnsupportedPolicyError(f"it has no linear layer {name}, which params/agent.yaml asks for")
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.load_state_dict({"weight": weight, **({} if bias is None else {"bias": bias})})
    return linear


def _make_layers(state: State, prefix: str, activation: Any) -> Any:
    """Return linear layers with an activation between them, as rsl_rl numbers them: 0, 2, 4."""
    numbers = sorted({int(match[1]) for name in state if (match := re.fullmatch(rf"{prefix}(\d+)\.weight", name))})
    if not numbers or numbers != list(range(0, 2 * len(numbers), 2)):
        raise UnsupportedPolicyError("it has no actor of linear layers")
    modules = []
    for number in numbers:
        modules += [_make_linear(state, f"{prefix}{number}"), activation()]
    return nn.Sequential(*modules[:-1])


def _check_sizes(wanted: Sequence[Any] | None, modules: Any) -> None:
    """Raise UnsupportedPolicyError if the hidden layers have other sizes; -1 is any."""
    found = [one.out_features for one in modules if isinstance(one, nn.Linear)][:-1]
    sizes = [int(size) for size in wanted or found]
    if len(sizes) != len(found) or any(size not in (-1, real) for size, real in zip(sizes, found, strict=True)):
        raise UnsupportedPolicyError(
            f"its hidden layers have the sizes {found}, and those of params/agent.yaml {sizes}: it is not of this"
            " checkpoint"
        )
