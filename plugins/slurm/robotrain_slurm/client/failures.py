"""Why sbatch refused a job, in words: what it did not accept, and what exists instead."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tomllib
from robotrain.cluster.checks import suggest_names
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.run_folder.scheduler_commands import Refusal, ShellWord, find_refusal
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client import cluster
from robotrain_slurm.client.cluster import parse_gpus
from robotrain_slurm.client.commands import SlurmRefused, quote_message, run_slurm

make_problem = Messages(__file__)

Options = Mapping[str, str | None]
"""The options of a batch script by their long names; None for a flag."""
OPTIONS_OF_FLAGS = {"--memory": "mem", "--cpus": "cpus-per-task", "--gpus": "gres"}
"""Options of sbatch that robotrain calls otherwise."""
LIST_ACCOUNTS = "sacctmgr show associations user=$USER format=account,partition,qos"
QUERY_SECONDS = 10.0


@functools.cache
def load_refusals() -> tuple[Refusal, ...]:
    """Return the known refusals in the order in which they are compared."""
    file = Path(__file__).with_name("refusals.toml")
    rows = tomllib.loads(file.read_text(encoding="utf-8"))["refusal"]
    for row in rows:
        row["suggestions"] = tuple(Suggestion(*one) for one in row.get("suggestions", ()))
    return tuple(Refusal(**row) for row in rows)


def explain_refusal(at: Transport, text: str, options: Options, command: str = "sbatch") -> Problem:
    """Return the problem of a job that sbatch refused. Slurm is asked for the names that exist.

    :param text: what sbatch printed, with the lines of a site's own submit plugin.
    :param options: those of the batch script.
    :param command: another command, such as `sinfo`, that failed.
    """
    why = f"{command} says: {quote_message(text) or 'nothing'}."
    if found := find_refusal(load_refusals(), text):
        kind, match = found
        given = options.get(OPTIONS_OF_FLAGS.get(kind.where, kind.where.removeprefix("--"))) or ""
        given = given or next(filter(None, match.groups()), "")
        if kind.where == "--gpus" and given and not parse_gpus(given):  # typed as `--sbatch gres=nvme:100`
            kind, given = dataclasses.replace(kind, where="--sbatch"), f"gres={given}"
        others = () if kind.suggestions else suggest_existing(at, kind.where, given, options)
        return kind.make_problem(given, why, *others)
    return make_problem("platform-refused" if command == "sbatch" else "client-failed", command=command, why=why)


def suggest_existing(at: Transport, flag: str, given: str, options: Options) -> Iterator[Suggestion]:
    """Yield the names that the cluster has for an option, the nearest first; how to list them if it does not answer."""
    template = f"{flag} {{}}"
    try:
        if flag in ("--account", "--qos"):
            accounts, qualities = list_associations(at)
            names = accounts if flag == "--account" else qualities
            if given not in names:
                yield from suggest_names(template, given, names, LIST_ACCOUNTS)
                return
            flag, template, given = "--partition", "--partition {}", options.get("partition") or ""  # closed to it
        partitions = cluster.query_partitions(at)
    except (Rejected, SlurmRefused):
        yield Suggestion(
            LIST_ACCOUNTS if flag in ("--account", "--qos") else cluster.LIST_PARTITIONS, "lists what exists"
        )
        return
    if flag == "--partition":
        usable = [one.name for one in cluster.list_open_partitions(partitions) if one.name != given]
        yield from suggest_names(template, given, usable, cluster.LIST_PARTITIONS)
    elif flag == "--constraint":
        yield from suggest_names(template, given, cluster.list_features(partitions), cluster.LIST_FEATURES)
    elif flag == "--time":
        for one in cluster.select_partitions(partitions, options.get("partition")):
            if one.limit < math.inf:
                yield Suggestion(f"--time {cluster.format_limit(one.limit)}", f"the limit of {one.name}")


def list_associations(at: Transport) -> tuple[Sequence[str], Sequence[str]]:
    """Return the accounts and the qualities of service that this user has. Raise SlurmRefused, Rejected."""
    words = ("show", "associations", ShellWord('user="$(id -un)"'), "format=account,qos")
    rows = [
        line.split("|") for line in run_slurm(at, "sacctmgr", "-nP", *words, seconds=QUERY_SECONDS).splitlines() if line
    ]
    accounts = dict.fromkeys(row[0] for row in rows if row[0])
    qualities = dict.fromkeys(name for row in rows for name in row[-1].split(",") if name)
    return [*accounts], [*qualities]
