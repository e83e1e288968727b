"""What `robotrain init` writes for `lerobot-train`, and its examples."""

from collections.abc import Iterator
from pathlib import Path

from robotrain.model.workload import FoundInput

from robotrain_workloads.lerobot.local_datasets import find_copies as find_copies
from robotrain_workloads.lerobot.local_datasets import find_dataset_inputs

PARAMETERS = {
    "policy_type": "act",
    "training_steps": None,
    "batch_size": None,
    "learning_rate": None,
    "save_freq": None,
    "val_split": None,
    "seed": None,
    "register_checkpoint": None,
}
EXAMPLES = {"pusht-mini": Path(__file__).parents[1] / "examples/pusht-mini"}


def find_inputs(folder: Path) -> Iterator[FoundInput]:
    """Yield the datasets that jobs in the folder could train on."""
    yield from (found for found, _ in find_dataset_inputs(folder))
