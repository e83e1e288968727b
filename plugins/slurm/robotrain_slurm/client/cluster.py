"""The partitions of a cluster and their nodes, as one call of `sinfo` prints them."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from robotrain.cluster.checks import QuantityError
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.spec.options import DAY, HOUR, MINUTE, parse_time

FORMAT = "%R|%P|%a|%l|%T|%D|%c|%m|%N|%G"
"""Fields that sinfo has had since version 2: name, default, availability, limit, and a group of like nodes."""
UNUSABLE_STATES = frozenset("down drained draining drain drng fail failing error inval future".split())  # noqa: SIM905
"""States of nodes that start no job until an administrator acts."""
STATE_MARKS = "*~#!%$@^-+"
"""Slurm adds one to a state: the node does not answer, saves power, or waits for a reboot."""


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """Nodes of a partition that have the same resources and state."""

    names: str
    """As Slurm writes them: `gpu[01-16]`."""
    count: int
    state: str
    cpus: int
    memory: int
    """In MiB."""
    gpus: tuple[tuple[str, int], ...] = ()
    """Types and counts of a node's GPUs; the type is empty if the cluster names none."""

    @property
    def is_usable(self) -> bool:
        """Whether it starts jobs, now or later."""
        return self.state not in UNUSABLE_STATES

    def count_gpus(self, kind: str = "") -> int:
        """Return how many GPUs a node has, of one type or of all."""
        return sum(count for name, count in self.gpus if not kind or name == kind)


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A partition."""

    name: str
    is_default: bool
    state: str
    """`up`, `down` (jobs wait), `drain` or `inact` (jobs are refused)."""
    limit: float
    """The longest time limit of a job in seconds; infinity for none."""
    nodes: tuple[NodeGroup, ...] = ()


def query_partitions(transport: Transport, seconds: float | None = None) -> list[Partition]:
    """Return all partitions, hidden ones too. Raise SlurmRefused, Rejected."""
    output = run_slurm(transport, "sinfo", "--noheader", "--all", "--exact", f"--format={FORMAT}", seconds=seconds)
    return parse_partitions(output.splitlines())


def query_memory_limits(transport: Transport) -> dict[str, float]:
    """Return the most memory in MiB that a job may have on a node, by partition; those without a limit are absent.

    `sinfo` does not print it. Raise Rejected.
    """
    try:
        output = run_slurm(transport, "scontrol", "--all", "--oneliner", "show", "partition")
    except SlurmRefused:  # it is not shown to everybody
        return {}
    limits = re.findall(r"(?m)^PartitionName=(\S+) .*\bMaxMemPerNode=(\d+)", output)
    return {name: float(limit) for name, limit in limits}


def parse_partitions(lines: Iterable[str]) -> list[Partition]:
    """Return the partitions in the lines of sinfo; other lines are left out."""
    partitions_by_name: dict[str, Partition] = {}
    nodes: dict[str, list[NodeGroup]] = {}
    for sinfo_line in lines:
        fields = [field.strip() for field in sinfo_line.split("|")]
        if len(fields) != FORMAT.count("|") + 1:
            continue
        name, marked_name, state, limit, *about_nodes = fields
        partitions_by_name[name] = Partition(
            name=name,
            is_default=marked_name.endswith("*") and not name.endswith("*"),
            state=state.lower(),
            limit=read_limit(limit),
        )
        if group := _parse_nodes(*about_nodes):
            nodes.setdefault(name, []).append(group)
    return [replace(partition, nodes=tuple(nodes.get(name, ()))) for name, partition in partitions_by_name.items()]


def _parse_nodes(state: str, count: str, cpus: str, memory: str, node_names: str, gres: str) -> NodeGroup | None:
    """Return a group of nodes; None for a partition without nodes."""
    amounts = [
        int(match[0]) if (match := re.match(r"\d+", amount_text)) else 0 for amount_text in (count, cpus, memory)
    ]
    if not amounts[0]:
        return None
    return NodeGroup(
        names=node_names,
        count=amounts[0],
        state=state.rstrip(STATE_MARKS).lower(),
        cpus=amounts[1],
        memory=amounts[2],
        gpus=tuple(parse_gpus(gres)),
    )


GPUS = r"(?:^|,)\s*(?:gres/)?gpu(?:[:=](?!\d+(?![\w.-]))(?P<kind>[^:=,()]+))?(?:[:=](?P<count>\d+))?"


def parse_gpus(gres: str) -> list[tuple[str, int]]:
    """Return types and counts of the GPUs in a list of generic resources: `gpu:a100:4(S:0-1),gpu:2,nvme:1`."""
    return [(match["kind"] or "", int(match["count"] or 1)) for match in re.finditer(GPUS, gres)]


def read_limit(text: str) -> float:
    """Return the seconds of a limit of sinfo: `1-00:00:00`, `30:00`, `infinite`."""
    try:
        seconds = parse_time(text)
    except QuantityError:
        return math.inf
    return math.inf if seconds is None else seconds


def format_limit(seconds: float) -> str:
    """Return a time as `--time` accepts it: `2d`, `4h`, `90m`."""
    for unit, length in (("d", DAY), ("h", HOUR)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length:g}{unit}"
    return f"{seconds // MINUTE:g}m"


def select_partitions(partitions: Iterable[Partition], partition_option: str | None) -> list[Partition]:
    """Return the partitions that an option names, separated by commas, or else the default one."""
    partition_names = [name.strip() for name in (partition_option or "").split(",") if name.strip()]
    return [
        partition
        for partition in partitions
        if (partition.name in partition_names if partition_names else partition.is_default)
    ]
