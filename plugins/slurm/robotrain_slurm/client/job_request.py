"""What a batch script asks of each node, by its options. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from robotrain.cluster.checks import QuantityError

from robotrain_slurm.client.cluster import NodeGroup, parse_gpus, read_limit
from robotrain_slurm.spec.options import parse_memory


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What a batch job asks for."""

    partition: str
    """Its partitions, separated by commas; empty for the default one."""
    qos: str
    seconds: float
    """Its time limit; infinity for none, 0 if the partition's own counts."""
    gpus: int
    gpu_type: str
    cpus: int
    memory: str
    mib: int
    """0 if sbatch reads its size in a way of its own."""
    nodes: int

    @classmethod
    def parse(cls, options: Mapping[str, str | None]) -> "JobRequest":
        """Return what a batch script asks for by its options."""
        texts = {name: option_value or "" for name, option_value in options.items()}
        gpus = parse_gpus(texts.get("gres", ""))
        cpus, nodes, memory = (texts.get(name, "") for name in ("cpus-per-task", "nodes", "mem"))
        try:
            mib = parse_memory(memory)
        except QuantityError:
            mib = 0
        return cls(
            partition=texts.get("partition", ""),
            qos=texts.get("qos", ""),
            seconds=read_limit(texts["time"]) if texts.get("time") else 0.0,
            gpus=sum(number for _, number in gpus),
            gpu_type=next((kind for kind, _ in gpus if kind), ""),
            cpus=int(cpus) if cpus.isdigit() else 0,
            memory=memory,
            mib=mib,
            nodes=int(nodes) if nodes.isdigit() else 1,
        )

    def fits(self, nodes: NodeGroup) -> bool:
        """Return whether a node has what the job asks for of each, whatever its state."""
        has_gpus = nodes.count_gpus(self.gpu_type) >= self.gpus
        return has_gpus and nodes.cpus >= self.cpus and nodes.memory >= self.mib

    def count_fitting(self, node_groups: Iterable[NodeGroup]) -> int:
        """Return how many nodes have what the job asks for."""
        return sum(node_group.count for node_group in node_groups if self.fits(node_group))
