"""Options with which other tools evaluate a policy, and what is said to those who try them here (contract A.8, A.9)."""

from collections.abc import Mapping

_MODEL = "a model of the workspace is named in one: --policy-model azureml:NAME:VERSION"
_EPISODES = "it is --eval-episodes N"

EVALUATING: Mapping[str, str] = {
    "--from-aml-model": _MODEL,
    "--model-name": _MODEL,
    "--model-version": _MODEL,
    "--eval-n-episodes": _EPISODES,
    "--n-episodes": _EPISODES,
    "--num-episodes": _EPISODES,
    "--eval-env": "it is --env NAME",
    "--eval-seed": "it is --seed N",
    "--dataset-revision": "it is part of the name: --dataset-repo-id OWNER/NAME@REVISION",
    "--policy-revision": "it is part of the name: --policy-repo-id OWNER/NAME@REVISION",
}
