"""What a batch script asks for, by its options. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from robotrain.cluster.checks import QuantityError
from robotrain.model.job import NODES_PARAMETER, Job

from robotrain_slurm.client.cluster import NodeGroup, parse_gpus, read_limit
from robotrain_slurm.spec.options import parse_memory

GPU_OPTIONS = ("gres", "gpus", "gpus-per-node")


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What a batch job asks for."""

    partition: str = ""
    """Its partitions, separated by commas; empty for the default one."""
    qos: str = ""
    seconds: float = 0.0
    """Its time limit; infinity for none, 0 if the partition's own counts."""
    constraint: str = ""
    gpus: int = 0
    gpu_type: str = ""
    cpus: int = 0
    memory: str = ""
    mib: int = 0
    nodes: int = 1
    trains_on_gpus: bool = False
    """Whether it asks for as many GPUs as it trains on."""
    takes_nodes: bool = False
    """Whether its workload can train on several nodes."""
    has_device: bool = False
    """Whether its workload lets the user choose the device."""

    @classmethod
    def parse(cls, options: Mapping[str, str | None], job: Job) -> "JobRequest":
        """Return what a batch script asks for by its options."""
        option_texts = {name: option_value or "" for name, option_value in options.items()}
        gpus = [gpu for name in GPU_OPTIONS for gpu in parse_gpus(_name_gpus(name, option_texts.get(name, "")))]
        count = sum(number for _, number in gpus)
        return cls(
            partition=option_texts.get("partition", ""),
            qos=option_texts.get("qos", ""),
            seconds=read_limit(option_texts["time"]) if option_texts.get("time") else 0.0,
            constraint=option_texts.get("constraint", ""),
            gpus=count,
            gpu_type=next((kind for kind, _ in gpus if kind), ""),
            cpus=int(option_texts["cpus-per-task"]) if option_texts.get("cpus-per-task", "").isdigit() else 0,
            memory=option_texts.get("mem", ""),
            mib=_read_memory(option_texts.get("mem", "")),
            nodes=int(option_texts["nodes"]) if option_texts.get("nodes", "").isdigit() else 1,
            trains_on_gpus=count == job.training_gpus,
            takes_nodes=NODES_PARAMETER in dict(job.parameters),
            has_device="device" in dict(job.parameters),
        )

    def fits(self, nodes: NodeGroup) -> bool:
        """Return whether a node has all that the job asks for of each, whatever its state."""
        has_gpus = nodes.count_gpus(self.gpu_type) >= self.gpus
        return has_gpus and nodes.cpus >= self.cpus and nodes.memory >= self.mib and self.has_features(nodes)

    def list_features(self) -> list[str]:
        """Return the features that `&` joins in the constraint; none if Slurm reads it in another way."""
        feature_names = [name.strip() for name in self.constraint.split("&")]
        is_plain = all(re.fullmatch(r"[\w.-]+", name) for name in feature_names)
        return feature_names if is_plain else []

    def has_features(self, nodes: NodeGroup) -> bool:
        """Return whether a node has the features of the constraint, as far as `list_features` knows."""
        return nodes.features.issuperset(self.list_features())

    def count_fitting(self, node_groups: Iterable[NodeGroup]) -> int:
        """Return how many nodes have all that the job asks for."""
        return sum(node_group.count for node_group in node_groups if self.fits(node_group))


def _read_memory(memory_text: str) -> int:
    """Return the MiB of a size; 0 if sbatch may read it otherwise, such as `--sbatch mem=1.5E`."""
    try:
        return parse_memory(memory_text)
    except QuantityError:
        return 0


def _name_gpus(option: str, option_value: str) -> str:
    """Return the value of an option about GPUs as that of `--gres`."""
    return option_value if option == "gres" else ",".join(f"gpu:{gpu}" for gpu in option_value.split(",") if gpu)
