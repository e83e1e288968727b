"""What the model cards of all LeRobot policies say, and which of a checkpoint's files name folders of the machine."""

from robotrain_runtime.contract.document import JobDocument

from robotrain_workloads.lerobot import adapter, policy, training_history, versions
from robotrain_workloads.lerobot.adapter import Base
from robotrain_workloads.lerobot.backbones import HUB_KIND

LIBRARY = "lerobot"
BASE_FOLDER = "FOLDER_OF_THE_BASE"
HUB_BASE = (
    "name, revision = adapter.base_model_name_or_path, adapter.revision",
    "base = get_policy_class(config.type).from_pretrained(name, revision=revision, config=config)",
)
FOLDER_BASE = (f'base = get_policy_class(config.type).from_pretrained("{BASE_FOLDER}", config=config)',)
"""How the base of an adapter is loaded: one that `adapter_config.json` names at the Hub, and another one."""
PATH_FILES = {
    "*/train_config.json": None,
    **{f"{policy.MODEL_FOLDER}/{name}": None for name in (policy.CONFIG_FILE, *policy.PROCESSOR_FILES)},
    f"*/{training_history.RECORD_FILE}": "",
}
"""Files of a checkpoint that hold folders of the machine: of its data, its outputs, its start and its tokenizer."""


def describe_use(document: JobDocument, base: Base | None = None) -> str:
    """Return how the policy is loaded. `base`: that of an adapter."""
    version = versions.get_version(document.parameters.get("lerobot_version")).name
    is_elsewhere = base is not None and base.kind != HUB_KIND
    lines = [
        f"With LeRobot {version}:",
        "",
        "```python",
        "from lerobot.policies.factory import get_policy_class",
        "from lerobot.configs.policies import PreTrainedConfig",
        "",
        'config = PreTrainedConfig.from_pretrained("{repository}", revision="{tag}")',
        *_list_loading(base),
        "```",
        "",
    ]
    if base and is_elsewhere:
        lines += [f"The base is no repository of the Hub: `{BASE_FOLDER}` holds {format_base(base)}.", ""]
    option = f" --backbone-path {BASE_FOLDER}" if is_elsewhere else ""
    lines.append(f"With robotrain: `robotrain submit lerobot-eval --policy-repo-id {{repository}}@{{tag}}{option} …`")
    return "\n".join(lines)


def _list_loading(base: Base | None) -> tuple[str, ...]:
    """Return the lines that load the policy, once its `config` is."""
    if base is None:
        return ('policy = get_policy_class(config.type).from_pretrained("{repository}", revision="{tag}")',)
    return (
        "from peft import PeftConfig, PeftModel",
        "",
        'adapter = PeftConfig.from_pretrained("{repository}", revision="{tag}")',
        *(HUB_BASE if base.kind == HUB_KIND else FOLDER_BASE),
        'policy = PeftModel.from_pretrained(base, "{repository}", revision="{tag}", config=adapter)',
    )


def format_base(base: Base) -> str:
    """Return the base of an adapter for people; its digest is often known only once the training has begun."""
    if str(base):
        return f"`{base}`"
    run = f" that the run `{base.run}` started from" if base.run else ""
    return f"the policy{run}, whose `model.safetensors` has the `sha256` of `{adapter.BASE_FILE}`"
