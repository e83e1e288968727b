"""Flags that several kinds share: which of them is meant, the text itself says."""

from robotrain.model.source import RoleFlag

POLICY_MODEL = RoleFlag(
    "--policy-model",
    repeatable=False,
    help="A policy to go on from, or to evaluate: NAME:VERSION of the platform's registry, azureml:NAME:VERSION, or "
    "runs:/RUN_ID/PATH, the artifacts of a tracking run.",
    form="MODEL",
)
RESUME = RoleFlag(
    "--resume-from",
    repeatable=False,
    help="A checkpoint of a training to go on from, at its step and with its optimizer: a folder, or a blob URL that "
    "--publish-url wrote; its PREFIX alone means the last whole one there.",
    form="CHECKPOINT",
)
INIT_POLICY = RoleFlag(
    "--init-from-policy-model",
    env=("INIT_FROM_POLICY_MODEL",),
    repeatable=False,
    help="A policy whose weights alone the training starts from: a model as for --policy-model, or a blob URL.",
    form="MODEL|URL",
)
