"""The names of the tasks of a job of several nodes: for its workflow, and to find them in what OSMO reports."""

NODE_SUFFIX = "-node-{}"
"""After the name of the lead's task, that of the task of another node."""


def make_node_name(task: str, rank: int) -> str:
    """Return the name of the task of a node. `task`: the lead's name."""
    return task + NODE_SUFFIX.format(rank) if rank else task


def parse_node(name: str, task: str) -> int:
    """Return the rank of the node of a task by its name. `task`: the lead's name."""
    rank = name.removeprefix(task + NODE_SUFFIX.format(""))
    return int(rank) if rank != name and rank.isdecimal() else 0


def list_node_names(task: str, nodes: int) -> list[str]:
    """Return the names of the tasks of a job of several nodes, the lead's first; none for one of one task."""
    return [make_node_name(task, rank) for rank in range(nodes)]


def count_suffix(nodes: int) -> int:
    """Return how many characters the name of a task of several nodes is longer than that of the lead's."""
    return len(NODE_SUFFIX.format(nodes - 1)) if nodes > 1 else 0
