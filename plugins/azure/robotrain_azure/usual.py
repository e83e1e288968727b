"""What the jobs of a workload have where nobody says otherwise, under the names that users of the contract look for."""

from collections.abc import Mapping
from dataclasses import dataclass

from robotrain_azure.images import LEROBOT_EVAL, LEROBOT_TRAIN

CHECKPOINTS = "checkpoints"
RESULTS = "eval_results"
REPORT = "eval_results.json"
"""The file among the results that is written when all others are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """image: the container's. environment: of a workspace, that holds it. output: the folder, in the one that a run
    writes to, of what it leaves. registers: the parameter that names a model to register. what: it is, in a word.
    """

    image: str = LEROBOT_TRAIN
    environment: str = "lerobot-training-env"
    output: str = CHECKPOINTS
    registers: str = "register_checkpoint"
    what: str = "training"

    @property
    def resumed(self) -> bool:
        """Whether a run that starts anew goes on from what lies there: results are made anew."""
        return self.output == CHECKPOINTS


WORKLOADS: Mapping[str, Usual] = {
    "lerobot-eval": Usual(
        image=LEROBOT_EVAL,
        environment="lerobot-inference-env",
        output=RESULTS,
        registers="register_model",
        what="evaluation",
    ),
}
"""Those that differ from a training (contract A.0, E.2)."""


def of(workload: str) -> Usual:
    """Of a workload that nobody named here: what a training has."""
    return WORKLOADS.get(workload, Usual())
