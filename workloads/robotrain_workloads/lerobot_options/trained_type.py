"""What a line of lerobot-train trains: a type of policy or of reward model, new or from a configuration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.versions import LeRobotVersion, ModelType
from robotrain_workloads.lerobot_options.saved_config import read_policy_config

if TYPE_CHECKING:
    from robotrain.model.source import SourceKind

REWARD_MODEL, POLICY = "reward_model", "policy"
FLAGS = {POLICY: "--policy-type", REWARD_MODEL: "--reward-model"}
NOTHING_REASON = "the line names no policy to train: add --policy.type=act, or --policy.path=OWNER/NAME"
BOTH_REASON = "LeRobot trains the reward model alone: leave the options of the policy out"
TYPE_REASON = (
    "its type is in its configuration, which cannot be read: {}; add its type to the line, such as --{}.type={}"
)
WEIGHTS_REASON = (
    "LeRobot takes its weights alone, for a new {} with other settings; robotrain trains on with the settings of the"
    " weights: give --{}.path={} instead, and no type"
)


@dataclass
class TrainedType:
    """What a line trains."""

    lerobot: LeRobotVersion
    model: str = POLICY
    """`policy` or `reward_model`: what the names of its options begin with."""
    kind: str = ""
    """The type; empty if it is unknown."""
    settings: Mapping[str, Any] | None = None
    """The configuration of what it starts from; None if it starts from nothing, or if that cannot be read."""
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def flag(self) -> str:
        """The option of robotrain with the type."""
        return FLAGS[self.model]

    @property
    def types(self) -> Mapping[str, ModelType]:
        """The types that this LeRobot has."""
        return self.lerobot.policies if self.model == POLICY else self.lerobot.reward_models

    @property
    def facts(self) -> ModelType:
        """What is known of the type; nothing of an unknown one."""
        return self.types.get(self.kind, ModelType())


def find_trained_type(
    option_values: Mapping[str, str | None], lerobot: LeRobotVersion, kinds: Mapping[str, "SourceKind"]
) -> TrainedType:
    """Return what a line trains, with the reasons why robotrain cannot train it.

    :param option_values: the options of the line.
    """
    is_reward = any(name in option_values for name in (f"{REWARD_MODEL}.type", f"{REWARD_MODEL}.path"))
    trained_type = TrainedType(lerobot, REWARD_MODEL if is_reward else POLICY)
    path = option_values.get(f"{trained_type.model}.path")
    kind = option_values.get(f"{trained_type.model}.type")
    weights = f"{trained_type.model}.pretrained_path"
    if is_reward and any(name.startswith(f"{POLICY}.") for name in option_values):
        trained_type.refused[next(f"--{name}" for name in option_values if name.startswith(f"{POLICY}."))] = BOTH_REASON
    elif option_values.get(weights):
        weights_text = redact(option_values[weights] or "")
        trained_type.refused[f"--{weights}"] = WEIGHTS_REASON.format(
            _describe(trained_type.model), trained_type.model, weights_text
        )
    elif path:
        _read_start(path, option_values, trained_type, kinds)
    elif kind:
        trained_type.kind = kind
        if reason := _explain_untrained(trained_type):
            trained_type.refused[f"--{trained_type.model}.type"] = reason
    else:
        trained_type.refused[f"--{POLICY}.type"] = NOTHING_REASON
    return trained_type


def _read_start(
    path: str, option_values: Mapping[str, str | None], trained_type: TrainedType, kinds: Mapping[str, "SourceKind"]
) -> None:
    option = f"--{trained_type.model}.path"
    kind = option_values.get(f"{trained_type.model}.type")
    try:
        trained_type.settings = read_policy_config(
            path, option_values.get(f"{trained_type.model}.pretrained_revision") or "", kinds
        )
    except (OSError, ValueError) as error:
        if not kind:
            words = re.split(r"\W|_", path.lower())
            named_type = max((name for name in trained_type.types if name in words), key=len, default="TYPE")
            trained_type.refused[option] = TYPE_REASON.format(str(error).rstrip("."), trained_type.model, named_type)
            return
    trained_type.kind = str((trained_type.settings or {}).get("type") or kind)
    if kind not in (None, trained_type.kind):
        trained_type.refused[f"--{trained_type.model}.type"] = (
            f"what {option} names is of the type {redact(trained_type.kind)}"
        )
    elif reason := _explain_untrained(trained_type):
        trained_type.refused[option] = reason


def _explain_untrained(trained_type: TrainedType) -> str:
    """Return why robotrain does not train the type; empty if it does."""
    lerobot = f"LeRobot {trained_type.lerobot.name}"
    kind = redact(trained_type.kind)
    if trained_type.kind in trained_type.types:
        return f"{lerobot} cannot train {kind}: {trained_type.facts.refused}" if trained_type.facts.refused else ""
    other_model = REWARD_MODEL if trained_type.model == POLICY else POLICY
    if trained_type.kind in TrainedType(trained_type.lerobot, other_model).types:
        return f"{lerobot} trains {kind} as a {_describe(other_model)}: use --{other_model}.type={kind}"
    having_versions = [
        version.name
        for version in versions.list_versions()
        if trained_type.kind in TrainedType(version, trained_type.model).types
    ]
    version_hint = "".join(f", but LeRobot {name} has" for name in having_versions[:1])
    type_hint = "".join(
        f": use {way.text}" for way in suggest_name(kind, list(trained_type.types), f"--{trained_type.model}.type=")
    )
    return f"{lerobot} has no {_describe(trained_type.model)} of the type {kind}{version_hint or type_hint}"


def _describe(model: str) -> str:
    return model.replace("_", " ")
