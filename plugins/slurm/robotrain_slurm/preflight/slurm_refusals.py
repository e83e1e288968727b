"""What Slurm itself says of the jobs of a plan, by `sbatch --test-only`, and the limits that it does not look at."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from robotrain.cluster.checks import QuantityError
from robotrain.errors import Problem, Severity, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.run_folder.scheduler_plan import SchedulerJob
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.cluster import (
    NodeGroup,
    Partition,
    format_limit,
    parse_gpus,
    query_memory_limits,
    read_limit,
    select_partitions,
)
from robotrain_slurm.client.commands import SlurmRefused, explain_refusal, run_slurm
from robotrain_slurm.spec.options import parse_memory
from robotrain_slurm.spec.script import read_options
from robotrain_slurm.spec.submission_spec import get_script

make_problem = Messages(__file__)


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


NOT_NOW = r"Requested node configuration is not available|Requested nodes are busy"
"""What `--test-only` says also of a job that would wait: it counts nodes out of service as absent, sbatch does not."""


def ask_slurm(transport: Transport, plan: Plan, job: SchedulerJob) -> str:
    """Return what sbatch prints that would refuse a job; empty if it would take it. Raise Rejected if Slurm is away.

    It gets the words of the submit, but for the file of the batch script, which is not there yet.
    """
    try:
        run_slurm(transport, "sbatch", "--test-only", *job.words[:-1], stdin=plan.files[get_script(job)])
    except SlurmRefused as refusal:
        return refusal.text
    return ""


def find_job_problems(
    transport: Transport, plan: Plan, job: SchedulerJob, refusal: str, partitions: Sequence[Partition]
) -> Iterator[Problem]:
    """Yield why Slurm refuses a job, or why it would never start.

    :param refusal: what `ask_slurm` returned.
    :param partitions: all of the cluster.
    """
    request = JobRequest.parse(read_options(plan.files[get_script(job)].decode()))
    job_partitions = select_partitions(partitions, request.partition)
    if refusal and not (re.search(NOT_NOW, refusal) and can_wait(request, job_partitions)):
        yield replace(explain_refusal(refusal, "`sbatch --test-only`"), stage=Stage.PREFLIGHT)
    elif job_partitions:
        yield from check_service(job_partitions, is_refused=bool(refusal))
    if job_partitions:
        yield from check_time(request, job_partitions)
        if request.mib:
            yield from check_memory(request, job_partitions, query_memory_limits(transport))


def can_wait(request: JobRequest, job_partitions: Sequence[Partition]) -> bool:
    """Return whether a partition has enough nodes for a job once those that are out of service are back."""
    for partition in job_partitions:
        has_lost_nodes = any(request.fits(group) and not group.is_usable for group in partition.nodes)
        if has_lost_nodes and request.count_fitting(partition.nodes) >= request.nodes:
            return True
    return False


def describe_partitions(chosen: Sequence[Partition]) -> str:
    """Return `the partition gpu`, or `the partitions gpu, debug`."""
    return f"the partition{'s' if len(chosen) > 1 else ''} {', '.join(partition.name for partition in chosen)}"


def check_service(job_partitions: Sequence[Partition], *, is_refused: bool) -> Iterator[Problem]:
    """Warn if a job that sbatch takes waits for somebody: for its partition, or for nodes that are out of service.

    :param is_refused: whether `--test-only` refused it.
    """
    partition_names = ",".join(partition.name for partition in job_partitions)
    if all(partition.state != "up" for partition in job_partitions):
        yield make_problem(
            "pool-closed.partition",
            given=partition_names,
            describe=describe_partitions(job_partitions),
            state=job_partitions[0].state.upper(),
        )
    elif is_refused:
        down_groups = [group for partition in job_partitions for group in partition.nodes if not group.is_usable]
        states = ", ".join(sorted({group.state for group in down_groups}))
        node_names = ", ".join(dict.fromkeys(group.names for group in down_groups))
        yield make_problem("pool-closed.nodes-down", given=partition_names, names=node_names, states=states)


def check_time(request: JobRequest, job_partitions: Sequence[Partition]) -> Iterator[Problem]:
    """Check the time limit: above that of its partitions, Slurm lets a job wait for ever."""
    limit = max(partition.limit for partition in job_partitions)
    if request.seconds <= limit:
        return
    severity: Severity = "warning" if request.qos else "error"
    yield make_problem(
        "time-over-limit",
        Suggestion(f"--time {format_limit(limit)}", "the longest there"),
        given="UNLIMITED" if math.isinf(request.seconds) else format_limit(request.seconds),
        severity=severity,
        describe=describe_partitions(job_partitions),
        limit=format_limit(limit),
        why=f"The quality of service {request.qos} may allow it." if request.qos else "The job would never start.",
    )


def check_memory(
    request: JobRequest, job_partitions: Sequence[Partition], limits: Mapping[str, float]
) -> Iterator[Problem]:
    """Check the memory of a node: above what its partitions give a job, Slurm lets it wait for ever.

    :param limits: in MiB, by partition; one without a limit is absent.
    """
    limit = max(limits.get(partition.name, math.inf) for partition in job_partitions)
    if request.mib > limit:
        yield make_problem(
            "memory-over-limit",
            f"--memory {limit:g}M",
            given=request.memory,
            describe=describe_partitions(job_partitions),
            limit=f"{limit:g}M",
        )
