"""Options with which other tools name a model of a workspace, each with what to use instead (contract A.8)."""

from collections.abc import Mapping

_MODEL = "a model of the workspace is named in one: --policy-model azureml:NAME:VERSION"

MODEL_OPTIONS: Mapping[str, str] = dict.fromkeys(("--from-aml-model", "--model-name", "--model-version"), _MODEL)
