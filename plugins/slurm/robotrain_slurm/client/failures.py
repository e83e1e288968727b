"""Why Slurm refused a job, in words: what it did not accept, and what exists instead."""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from robotrain.cluster.checks import suggest_names
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.refusals import Refusal, find_refusal, load_refusals
from robotrain.run_folder.scheduler_commands import ShellWord
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client import cluster
from robotrain_slurm.client.cluster import Partition, parse_gpus
from robotrain_slurm.client.commands import SlurmRefused, quote_message, run_slurm
from robotrain_slurm.client.job_request import JobRequest
from robotrain_slurm.client.shortfalls import find_shortfalls

make_problem = Messages(__file__)

Options = Mapping[str, str | None]
"""The options of a batch script by their long names; None for a flag."""
OPTIONS_OF_FLAGS = {"--memory": "mem", "--cpus": "cpus-per-task", "--gpus": "gres"}
"""Options of sbatch that robotrain calls otherwise."""
LIST_ACCOUNTS = "sacctmgr show associations user=$USER format=account,partition,qos"
QUERY_SECONDS = 10.0


@functools.cache
def load_slurm_refusals() -> tuple[Refusal, ...]:
    """Return the known refusals in the order in which they are compared."""
    return load_refusals(Path(__file__).with_name("refusals.toml"), Refusal)


def explain_command_failure(message: str, command: str) -> Problem:
    """Return the problem of a command such as `sinfo` that failed. `message`: what it printed."""
    reason = f"{command} says: {quote_message(message) or 'nothing'}."
    refusal = find_refusal(load_slurm_refusals(), message)
    if refusal:
        return refusal[0].make_problem("", reason)
    return make_problem("client-failed", command=command, why=reason)


def explain_refusal(
    transport: Transport, text: str, options: Options, job: Job, command: str = "sbatch"
) -> list[Problem]:
    """Return the problems of a job that sbatch refused, at least one. Slurm is asked for what exists.

    :param text: what sbatch printed, with the lines of a site's own submit plugin.
    :param options: those of the batch script.
    :param command: what printed it.
    """
    reason = f"{command} says: {quote_message(text) or 'nothing'}."
    refusal = find_refusal(load_slurm_refusals(), text)
    if not refusal:
        return [make_problem("platform-refused", why=reason)]
    kind, match = refusal
    flag_value = options.get(OPTIONS_OF_FLAGS.get(kind.where, kind.where.removeprefix("--"))) or ""
    flag_value = flag_value or next(filter(None, match.groups()), "")
    if kind.where == "--gpus" and flag_value and not parse_gpus(flag_value):  # typed as `--sbatch gres=nvme:100`
        kind = dataclasses.replace(kind, where="--sbatch", asks="")
        flag_value = f"gres={flag_value}"
    if kind.asks == "nodes":
        request = JobRequest.parse(options, job)
        shortfalls = _find_shortfalls(transport, request, reason)
        return shortfalls or [kind.make_problem(flag_value, reason)]
    question = QUESTIONS.get(kind.asks)
    suggestions = _suggest_existing(question, transport, flag_value, options) if question else ()
    return [kind.make_problem(flag_value, reason, *suggestions)]


def _find_shortfalls(transport: Transport, request: JobRequest, reason: str) -> list[Problem]:
    try:
        return [*find_shortfalls(request, cluster.query_partitions(transport), reason)]
    except (Rejected, SlurmRefused):
        return []


@dataclasses.dataclass(frozen=True)
class Question:
    """What Slurm is asked for when it refused a name."""

    suggest: Callable[[Transport, str, Options], Iterator[Suggestion]]
    """Yields what exists instead of a value. Raise SlurmRefused, Rejected."""
    command: str
    """What lists it, for a cluster that does not answer."""


def _suggest_existing(question: Question, transport: Transport, flag_value: str, options: Options) -> list[Suggestion]:
    """Return the names that the cluster has, the nearest first; how to list them if it does not answer."""
    try:
        return [*question.suggest(transport, flag_value, options)]
    except (Rejected, SlurmRefused):
        return [Suggestion(question.command, "lists what exists")]


def suggest_accounts(transport: Transport, flag_value: str, options: Options) -> Iterator[Suggestion]:
    """Yield the accounts of this user, or the partitions if the account exists and may be closed to one."""
    accounts, _ = list_associations(transport)
    yield from _suggest_association("--account {}", transport, flag_value, options, accounts)


def suggest_qualities(transport: Transport, flag_value: str, options: Options) -> Iterator[Suggestion]:
    """Yield the qualities of service of this user, or the partitions if the one that is given exists."""
    _, qualities = list_associations(transport)
    yield from _suggest_association("--qos {}", transport, flag_value, options, qualities)


def _suggest_association(
    template: str, transport: Transport, flag_value: str, options: Options, account_names: Sequence[str]
) -> Iterator[Suggestion]:
    if flag_value not in account_names:
        yield from suggest_names(template, flag_value, account_names, LIST_ACCOUNTS)
    else:
        yield from suggest_partitions(transport, options.get("partition") or "", options)


def suggest_partitions(transport: Transport, flag_value: str, options: Options) -> Iterator[Suggestion]:
    """Yield the partitions that take jobs of this user."""
    partitions = cluster.query_partitions(transport)
    rejected_partition = find_unknown_partition(flag_value, partitions)
    partition_names = [
        partition.name for partition in cluster.list_open_partitions(partitions) if partition.name != rejected_partition
    ]
    yield from suggest_names("--partition {}", rejected_partition, partition_names, cluster.LIST_PARTITIONS)


def find_unknown_partition(flag_value: str, partitions: Sequence[Partition]) -> str:
    """Return the first name in a list of partitions that the cluster does not have; the whole list if it has all."""
    existing_names = {partition.name for partition in partitions}
    partition_names = (name.strip() for name in flag_value.split(","))
    return next((name for name in partition_names if name and name not in existing_names), flag_value)


def suggest_features(transport: Transport, flag_value: str, options: Options) -> Iterator[Suggestion]:
    """Yield the features of nodes that are nearest to one of a constraint that no node has."""
    features = cluster.list_features(cluster.query_partitions(transport))
    if not features:
        yield Suggestion("leave out --constraint", "nodes have no features here")
        return
    feature_names = re.findall(r"[^\s&|,\[\]()*!]+", re.sub(r"\*\d+", "", flag_value))
    unknown_feature = next((name for name in feature_names if name not in features), flag_value)
    yield from suggest_names("--constraint {}", unknown_feature, features, cluster.LIST_FEATURES)


def suggest_times(transport: Transport, flag_value: str, options: Options) -> Iterator[Suggestion]:
    """Yield the time limits of the partitions."""
    for partition in cluster.select_partitions(cluster.query_partitions(transport), options.get("partition")):
        if partition.limit < math.inf:
            yield Suggestion(f"--time {cluster.format_limit(partition.limit)}", f"the limit of {partition.name}")


QUESTIONS = {
    "accounts": Question(suggest_accounts, LIST_ACCOUNTS),
    "qualities": Question(suggest_qualities, LIST_ACCOUNTS),
    "partitions": Question(suggest_partitions, cluster.LIST_PARTITIONS),
    "features": Question(suggest_features, cluster.LIST_FEATURES),
    "times": Question(suggest_times, cluster.LIST_PARTITIONS),
}
"""By the word in `asks` of a refusal; `nodes` asks for what the nodes have."""


def list_associations(transport: Transport) -> tuple[Sequence[str], Sequence[str]]:
    """Return the accounts and the qualities of service that this user has. Raise SlurmRefused, Rejected."""
    words = ("show", "associations", ShellWord('user="$(id -un)"'), "format=account,qos")
    rows = [
        output_line.split("|")
        for output_line in run_slurm(transport, "sacctmgr", "-nP", *words, seconds=QUERY_SECONDS).splitlines()
        if output_line
    ]
    accounts = dict.fromkeys(row[0] for row in rows if row[0])
    qualities = dict.fromkeys(name for row in rows for name in row[-1].split(",") if name)
    return [*accounts], [*qualities]
