"""One value other than the default for each parameter of a workload, as options of a command line."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from parity_cells import capabilities_of
from parity_command import PLATFORMS
from robotrain.model.workload import Workload
from robotrain_runtime.contract.parameter import Parameter, get_parameters
from robotrain_workloads import bag_parameters

PLACE = "https://account1.blob.core.windows.net/train/runs"
UNTRAINED = {"--builtin-policy": "", "--policy-repo-id": None}
ROLLED = {"--env": "pusht"}
COMPARED = {"-d": None, "--env": "pusht", "--reference-repo-id": "lab/act"}
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
SAVED = {"--checkpoints": "checkpoints/{step}"}
ROLLOUT = (
    "env_steps",
    "starts",
    "success_reward",
    "success_threshold",
    "record_video",
    "env_workers",
    "task_description",
)
COMPARISON = {
    "at_most": "50",
    "confidence": "0.9",
    "detect": "0.3",
    "equal_within": "0.1",
    "margin": "0.1",
    "earlier_comparisons": "[]",
}
OF_BAGS = (*bag_parameters.NAMES, "task")
TRAININGS = ("lerobot-train", "rosbag-act-train")
BESIDE: Mapping[tuple[str, str], Mapping[str, str | None]] = {
    **{(training, "keep"): {"--publish-url": PLACE} for training in TRAININGS},
    **{(training, "frame_cache_size"): {"--frame-cache": "on"} for training in TRAININGS},
    ("lerobot-train", "rename"): {"--policy-repo-id": "lab/act"},
    ("lerobot-train", "lora_rank"): {"--policy-repo-id": "lab/act"},
    ("lerobot-eval", "policy_type"): UNTRAINED,
    ("lerobot-eval", "dataset_id"): {"-d": None, "--blob-url": PLACE},
    **{("lerobot-eval", name): ROLLED for name in ROLLOUT},
    **{("lerobot-eval", name): COMPARED for name in COMPARISON},
    ("lerobot-eval", "allow_floor"): {**COMPARED, "--margin": "0.1"},
    ("lerobot-eval", "env_tasks"): {"--env": "metaworld", "--env-tasks": "push-v3"},
    ("isaac-validate", "video_length"): {"--record-video": ""},
    **{
        ("isaac-train", name): {"--checkpoint-uri": PLACE, "--checkpoint-mode": "resume"}
        for name in ("checkpoint_mode", "sha256")
    },
    ("isaac-train", "entry"): {"--code": "/data/training"},
    ("command", "checkpoint_complete"): SAVED,
    ("command", "resume_in_place"): SAVED,
    ("command", "resume_args"): SAVED,
    ("command", "num_nodes"): {"--launcher": "torchrun"},
    ("command", "step_pattern"): {"--metric": "loss=loss (.*)"},
    **{("command", name): {"--requirements": str(REQUIREMENTS)} for name in ("python_version", "allow_builds")},
    **{("lerobot-train", name): {"--bags": ""} for name in OF_BAGS},
}
"""What some do nothing without."""
VALUES = {
    "requirements": str(REQUIREMENTS),
    "python_version": "3.12",
    "environ": "MODE=fast",
    "metrics": "loss=loss=(.*)",
    "step_pattern": "step (.*)",
    "resume_args": '["--resume", "{resume}"]',
    "checkpoints": "saved/{step}",
    "checkpoint_complete": "rename",
    "policy_type": "diffusion",
    "mixed_precision": "bf16",
    "reward_model": "sarm",
    "checkpoint_mode": "warm-start",
    "sha256": "a" * 64,
    "starts": "easy",
    "env_tasks": "reach-v3",
    "image_size": "48x64",
    "pretrained_backbone_weights": "ResNet18_Weights.IMAGENET1K_V1",
    "success_reward": "0.9",
    "success_threshold": "0.5",
    "replay_episodes": "0,2-4",
    "exclude_episodes": "1",
    "agent_config": "/data/agent.yaml",
    "action_topic": "/commands",
    "units": "/joint_states=deg",
    **COMPARISON,
    "rename": "observation.image=observation.images.camera1",
    "statistics": "computed",
    "dropout": "0.2",
}
"""Of those whose values have a form of their own."""
COMMAND = ("command",)
WHAT: Mapping[str, tuple[str, ...]] = {
    "job_name": ("command", "tracked"),
    "num_gpus": ("command", "tracked", "GPUs"),
    "training_steps": ("command", "tracked", "registered"),
    "lora_rank": ("command", "tracked", "registered"),
    "experiment_name": ("tracked",),
    "system_metrics": ("tracked",),
    "sha256": ("tracked",),
    "register_checkpoint": ("tracked", "registered"),
    "register_model": ("tracked", "registered"),
    "skip_register_checkpoint": ("tracked", "registered"),
    "correlation_id": ("tracked",),
    "publish_url": ("published",),
    "keep": ("published",),
    "convert_v21": ("compared",),
}
"""What those change that change something else than the command, or more."""
PREPARED = {(training, name): ("prepared",) for training in TRAININGS for name in ("bags", *OF_BAGS)}
"""Those of a workload that change what is made of the data before the work."""
ENVIRONMENTS = ("lerobot_version",)
"""Those that choose the environment alone."""
REFUSED = ("accept_eula",)
"""Those whose other value is refused everywhere."""
ELSEWHERE = {
    *((workload, "allow_builds") for workload in (*TRAININGS, "lerobot-eval", "lerobot-merge")),  # test_added_packages
    *(
        (f"isaac-{action}", name) for action in ("train", "validate", "export") for name in ("packages", "allow_builds")
    ),  # test_isaac_packages
    ("isaac-train", "job_name"),  # test_isaac_nodes.py
    *((training, "mixture") for training in TRAININGS),  # test_parity_features.py, test_mixtures.py
    *((training, "evaluate_checkpoints") for training in TRAININGS),  # test_evaluate_checkpoints.py
    *(("rosbag-act-train", name) for name in ("policy_type", "reward_model", "bags")),  # test_rosbag_act_train.py
    ("rosbag-act-train", "convert_v21"),  # test_lerobot_bags.py
    *(("rosbag-act-train", name) for name in ("rename", "lora_rank")),  # as lerobot-train's; bags need whole policies
    ("lerobot-eval", "checkpoints"),  # test_checkpoint_scores.py
    ("lerobot-eval", "confirm"),  # test_checkpoint_scores.py
}
"""Those of a workload that change more than one document can show, or nothing without files: the tests of each."""
LENIENT = ("pass_unknown", "trust_remote_code", "allow_secret_file")
"""Those that only change what is refused: options after `--`, the code that a policy runs, files of code."""


ALONE = (
    "bags",
    "shell",
    "install",
    "shipped_environment",
    "launcher",
    "publish_url",
    "skip_register_checkpoint",
    "keep",
    "builtin_policy",
    "device",
    "temporal_ensemble_coeff",
    "reward_model",
    "lora_rank",
    "checkpoint_complete",
    "resume_in_place",
    "resume_args",
    "python_version",
    "allow_builds",
    "checkpoint_mode",
    "sha256",
    "margin",
    "allow_floor",
)
"""Those that cannot be given with some others, or that change more of a document than its parameters."""


def change_option(parameter: Parameter) -> Mapping[str, str | None]:
    """The option that changes it."""
    if parameter.name == "builtin_policy":
        return UNTRAINED
    if parameter.is_switch:
        return {f"--no-{parameter.flag[2:]}" if parameter.default else parameter.flag: ""}
    return {parameter.flag: _value(parameter)}


class Group(NamedTuple):
    """Parameters that one command line can change. beside: what they do nothing without. platform: where they can be
    given; the platforms that can do what they need, in turn.
    """

    platform: str
    beside: Mapping[str, str | None]
    parameters: tuple[Parameter, ...]

    def change(self) -> dict[str, str | None]:
        """The options that change them."""
        return {flag: value for parameter in self.parameters for flag, value in change_option(parameter).items()}


def list_groups(workload: Workload) -> list[Group]:
    """All parameters of a workload but those that other tests change: first those of every platform that need nothing
    beside them.
    """
    elsewhere = {name for owner, name in ELSEWHERE if owner == workload.name} | {*ENVIRONMENTS, *REFUSED, *LENIENT}
    turns = itertools.count(len(workload.name))
    groups: dict[str, Group] = {"": Group(PLATFORMS[0], {}, ())}
    for parameter in get_parameters(workload.parameters):
        if parameter.name in elsewhere:
            continue
        beside = BESIDE.get((workload.name, parameter.name), {})
        possible = [platform for platform in PLATFORMS if _possible(platform, parameter, workload.targets)]
        is_alone = parameter.name in ALONE or len(possible) < len(PLATFORMS)
        key = parameter.name if is_alone else str(beside or "")
        platform = possible[next(turns) % len(possible)]
        group = groups.setdefault(key, Group(platform, beside, ()))
        groups[key] = group._replace(parameters=(*group.parameters, parameter))
    return list(groups.values())


def _possible(platform: str, parameter: Parameter, targets: tuple[str, ...]) -> bool:
    """An address is none of the places that a feature is needed for."""
    needs = "" if parameter.name in targets else parameter.param.requires
    return not needs or bool(capabilities_of(platform).feature(needs))


def _value(parameter: Parameter) -> str:
    if parameter.name in VALUES:
        return VALUES[parameter.name]
    if parameter.choices:
        return next(choice for choice in parameter.choices if choice != parameter.default)
    if parameter.name == "publish_url":
        return PLACE
    if parameter.bare_type is str:
        return "another"
    return str(parameter.bare_type((parameter.default or 14) / 2) or 2)
