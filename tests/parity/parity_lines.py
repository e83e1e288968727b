"""Command lines in which every source occurs that a platform takes, several in each."""

from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest

from parity_cells import Cell
from parity_command import DATASET, FROM_CHECKPOINT
from robotrain.check.publish_targets import PUBLISH_ROLE

POLICY = ("--policy-repo-id", "me/act")
LIBERO = ("--env", "libero", "--env-tasks", "libero_object")
JOBS: tuple[tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]], ...] = (
    ((), {"dataset": DATASET, "init_policy": (), "backbone": (), PUBLISH_ROLE: ()}),
    (DATASET, {"resume": ()}),
    (("lerobot-eval", *LIBERO), {"policy": POLICY, "scenes": ()}),
    (("lerobot-eval", *LIBERO, *POLICY), {"reference": ()}),
    (FROM_CHECKPOINT, {"checkpoint": ("--checkpoint-uri", "https://host.example/model.pt"), "code": ()}),
)
"""Jobs, each with the roles whose sources it can have at the same time, and with what stands for a source of that role
where there is none.
"""


def list_lines(
    accepted: list[Cell], source_words: Callable[[str, str], tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], list[Cell]]]:
    """The lines in which all these sources occur, several in a line, with those of each.

    :param source_words: what is typed of a source, by its role and kind.
    """
    for start, roles in JOBS:
        columns = [[cell for cell in accepted if cell.what[0] == role] for role in roles]
        for row in zip_longest(*columns):
            parts = [source_words(*cell.what) if cell else roles[role] for role, cell in zip(roles, row, strict=True)]
            yield (*start, *(word for part in parts for word in part)), [cell for cell in row if cell]
