"""What a job asks for, compared with the partitions and nodes of the cluster. Pure."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from robotrain.cluster.checks import suggest_names
from robotrain.errors import Problem, Severity, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import GPUS_PARAMETER, NODES_FLAG

from robotrain_slurm.client.cluster import (
    LIST_FEATURES,
    LIST_PARTITIONS,
    NodeGroup,
    Partition,
    format_limit,
    list_features,
    list_open_partitions,
    select_partitions,
)
from robotrain_slurm.preflight.job_request import JobRequest

make_problem = Messages(__file__)

REFUSED_STATES = ("drain", "inact", "inactive")
"""States of a partition that refuses jobs; one that is `down` lets them wait."""


def find_request_problems(request: JobRequest, partitions: Sequence[Partition]) -> Iterator[Problem]:
    """Yield why Slurm would refuse a job, or never start it."""
    names = [name.strip() for name in request.partition.split(",") if name.strip()]
    known = {one.name for one in partitions}
    for name in names:
        if name not in known:
            usable = [one.name for one in list_open_partitions(partitions)]
            fixes = suggest_names("--partition {}", name, usable, LIST_PARTITIONS)
            yield make_problem("resource-unknown.partition", *fixes, given=request.partition, name=name)
    chosen = select_partitions(partitions, request.partition)
    if not chosen or not known.issuperset(names):  # without a default one, a site's submit plugin may choose
        return
    yield from _check_state(request, chosen, partitions)
    yield from _check_time(request, chosen, partitions)
    yield from _check_constraint(request, chosen, partitions)
    yield from _check_nodes(request, chosen, partitions)
    if request.nodes > 1:
        yield from check_node_count(request, chosen, partitions)


def _describe(chosen: Sequence[Partition]) -> str:
    """Return `the partition gpu`, or `the partitions gpu, debug`."""
    return f"the partition{'s' if len(chosen) > 1 else ''} {', '.join(one.name for one in chosen)}"


def _suggest_partitions(others: Iterable[Partition], remark: str = "") -> list[Suggestion]:
    return [Suggestion(f"--partition {one.name}", remark) for one in list_open_partitions(others)][:3]


def _check_state(
    request: JobRequest, chosen: Sequence[Partition], partitions: Sequence[Partition]
) -> Iterator[Problem]:
    """Check that a partition takes jobs, and that a node of it is there to start them."""
    given = ",".join(one.name for one in chosen)
    others = _suggest_partitions(one for one in partitions if one not in chosen and request.can_start(one))
    if all(one.state != "up" for one in chosen):
        is_refused = all(one.state in REFUSED_STATES for one in chosen)
        title = f"{_describe(chosen)} {'takes no jobs' if is_refused else 'starts no jobs'} now"
        severity: Severity = "error" if is_refused else "warning"
        yield make_problem(
            "pool-closed.partition", *others, given=given, severity=severity, title=title, state=chosen[0].state.upper()
        )
        return
    nodes = [group for one in chosen for group in one.nodes]
    if not any(group.is_usable for group in nodes):
        states = ", ".join(sorted({group.state for group in nodes}))
        why = f"Its nodes are {states}." if nodes else "It has no nodes."
        yield make_problem("pool-closed.nodes-down", *others, given=given, describe=_describe(chosen), why=why)


def _check_time(request: JobRequest, chosen: Sequence[Partition], partitions: Sequence[Partition]) -> Iterator[Problem]:
    """Check the time limit: above that of its partitions, a job is refused, or waits for ever."""
    limit = max(one.limit for one in chosen)
    if request.seconds <= limit:
        return
    others = [one for one in partitions if one.limit >= request.seconds and request.can_start(one)]
    given = "UNLIMITED" if math.isinf(request.seconds) else format_limit(request.seconds)
    fits = Suggestion(f"--time {format_limit(limit)}", "the longest there")
    why = f"The quality of service {request.qos} may allow it." if request.qos else "The job would never start."
    severity: Severity = "warning" if request.qos else "error"
    fixes = (fits, *_suggest_partitions(others))
    yield make_problem(
        "time-over-limit",
        *fixes,
        given=given,
        severity=severity,
        describe=_describe(chosen),
        limit=format_limit(limit),
        why=why,
    )


def _check_constraint(
    request: JobRequest, chosen: Sequence[Partition], partitions: Sequence[Partition]
) -> Iterator[Problem]:
    """Check that each feature of the constraint exists, and that a node has all of those that `&` joins."""
    known = list_features(partitions)
    for name in dict.fromkeys(re.findall(r"[^\s&|,\[\]()*!]+", re.sub(r"\*\d+", "", request.constraint))):
        if name not in known:
            fixes = suggest_names("--constraint {}", name, known, LIST_FEATURES)
            fixes = fixes if known else (Suggestion("leave out --constraint", "nodes have no features here"),)
            yield make_problem("resource-unknown.feature", *fixes, given=request.constraint, name=name)
    names = [name.strip() for name in request.constraint.split("&")]
    is_plain = len(names) > 1 and all(re.fullmatch(r"[\w.-]+", name) for name in names)
    nodes = [group for one in chosen for group in one.nodes]
    if is_plain and {*known}.issuperset(names) and not any(group.features.issuperset(names) for group in nodes):
        yield make_problem(
            "resource-unknown.features-together",
            given=request.constraint,
            describe=_describe(chosen),
            constraint="|".join(names),
        )


def _check_nodes(
    request: JobRequest, chosen: Sequence[Partition], partitions: Sequence[Partition]
) -> Iterator[Problem]:
    """Check that a node has so many GPUs, cores and so much memory, and that one has all of that."""
    nodes = [group for one in chosen for group in one.nodes]
    if not nodes or any(request.fits(group) for group in nodes):
        return
    others = [one for one in partitions if one not in chosen and any(request.fits(group) for group in one.nodes)]
    problems = [
        *_check_gpus(request, chosen, partitions, others),
        *_check_amount(request, chosen, others, "--cpus", max(group.cpus for group in nodes)),
        *_check_amount(request, chosen, others, "--memory", max(group.memory for group in nodes)),
    ]
    if not problems:
        asked = {"GPUs": request.gpus, "cores": request.cpus, "MiB of memory": request.mib}
        listed = Suggestion("sinfo --format='%P %c %m %G'", "lists cores, MiB and GPUs of the nodes")
        fixes = (*_suggest_partitions(others), listed)
        problems = [
            make_problem(
                "machines-too-small.together",
                *fixes,
                describe=_describe(chosen),
                asked=" and ".join(f"{value} {what}" for what, value in asked.items() if value),
            )
        ]
    yield from problems


def _check_gpus(
    request: JobRequest, chosen: Sequence[Partition], partitions: Sequence[Partition], others: Sequence[Partition]
) -> Iterator[Problem]:
    """Check the GPUs: that there are any, their type, and their number."""
    nodes = [group for one in chosen for group in one.nodes]
    most = max(group.count_gpus(request.gpu_type) for group in nodes)
    if request.gpus <= most:
        return
    everywhere = [group for one in partitions for group in one.nodes]
    kinds = sorted({kind for group in everywhere for kind, _ in group.gpus if kind})
    on_cpu = Suggestion("--gpus 0 --device cpu" if request.has_device else "--gpus 0", "computes on CPUs, slowly")
    asked, fixes = f"{request.gpus} GPU{'s' if request.gpus > 1 else ''}", _suggest_partitions(others)
    flag, given = "--gpus", str(request.gpus)
    if not any(group.count_gpus() for group in everywhere):
        title, fixes = "the cluster has no GPUs", [on_cpu]
    elif request.gpu_type and request.gpu_type not in kinds:
        title, flag, given = f"the cluster has no GPUs of the type {request.gpu_type}", "--gpu-type", request.gpu_type
        fixes = [*suggest_names("--gpu-type {}", request.gpu_type, kinds, "sinfo --format='%P %G'")]
    elif not most:
        what = f"{request.gpu_type} GPUs" if request.gpu_type else "GPUs"
        title, fixes = f"no node of {_describe(chosen)} has {what}", [*fixes, on_cpu]
    else:
        title = f"no node of {_describe(chosen)} has {asked}: at most {most}"
        name = f"--{GPUS_PARAMETER.replace('_', '-')}" if request.trains_on_gpus else "--gpus"
        count = request.nodes * request.gpus // most
        whole = request.trains_on_gpus and request.takes_nodes and not request.gpus % most
        several = [Suggestion(f"--num-nodes {count} {name} {most}", "as many GPUs on several nodes")] if whole else []
        fixes = [Suggestion(f"{name} {most}", "of each node"), *several, *fixes]
    yield make_problem("machines-too-small.one", *fixes, where=flag, given=given, title=title)


def _check_amount(
    request: JobRequest, chosen: Sequence[Partition], others: Sequence[Partition], flag: str, most: int
) -> Iterator[Problem]:
    """Check the cores, or the memory in MiB, against those of the largest node."""
    wanted, given = (request.cpus, str(request.cpus)) if flag == "--cpus" else (request.mib, request.memory)
    if wanted > most:
        what, value = ("CPU cores", str(most)) if flag == "--cpus" else ("memory", f"{most}M")
        title = (
            f"no node of {_describe(chosen)} has so {'many' if flag == '--cpus' else 'much'} {what}: at most {value}"
        )
        fixes = (Suggestion(f"{flag} {value}"), *_suggest_partitions(others))
        yield make_problem("machines-too-small.one", *fixes, where=flag, given=given, title=title)


def check_node_count(
    request: JobRequest, chosen: Sequence[Partition], partitions: Sequence[Partition]
) -> Iterator[Problem]:
    """Check that one partition has so many nodes with what the job asks for of each, and that they are alike."""
    names = ", ".join(one.name for one in chosen)
    most = max((_count_fitting(request, one) for one in chosen), default=0)
    if 0 < most < request.nodes:  # with none, the resources are reported
        others = [one for one in partitions if _count_fitting(request, one) >= request.nodes]
        fixes = [Suggestion(f"--partition {one.name}") for one in list_open_partitions(others)][:3]
        given = str(request.nodes)
        yield make_problem(
            "nodes-too-few",
            f"{NODES_FLAG} {most}",
            *fixes,
            where=NODES_FLAG,
            given=given,
            names=names,
            most=most,
            value="s" * (most > 1),
            nodes=request.nodes,
        )
        return
    if request.gpus and not request.gpu_type:
        kinds = sorted({_name_kind(group) for one in chosen for group in one.nodes if request.fits(group)})
        if len(kinds) > 1:
            fixes = [Suggestion(f"--gpu-type {kind}") for kind in kinds if " " not in kind][:3]
            given = str(request.nodes)
            yield make_problem("slurm-nodes-differ", *fixes, where=NODES_FLAG, given=given, kinds=", ".join(kinds))


def _count_fitting(request: JobRequest, partition: Partition) -> int:
    return sum(group.count for group in partition.nodes if request.fits(group))


def _name_kind(group: NodeGroup) -> str:
    """Return the types of a node's GPUs: `a100`."""
    return " and ".join(sorted({kind or "a type without a name" for kind, _ in group.gpus}))
