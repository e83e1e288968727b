"""Why sbatch refused a job, in words: what it did not accept, and what exists instead."""

import functools
import getpass
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from robotrain.cluster.checks import suggest_names
from robotrain.errors import Problem, Rejected, Suggestion, make_problem
from robotrain.redaction import redact
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

from robotrain_slurm.client import cluster
from robotrain_slurm.client.commands import SlurmRefused, run_slurm

Options = Mapping[str, str | None]
"""The options of a batch script by their long names; None for a flag."""
OPTIONS_OF_FLAGS = {"--memory": "mem", "--cpus": "cpus-per-task", "--gpus": "gres"}
"""Options of sbatch that robotrain calls otherwise."""
LIST_ACCOUNTS = "sacctmgr show associations user=$USER format=account,partition,qos"
MAX_TEXT_LENGTH = 400
QUERY_SECONDS = 10.0


@lazy_dataclass(frozen=True, kw_only=True)
class Refusal:
    """A kind of refusal: how it is recognised, and the parts of its problem."""

    pattern: str
    code: str
    title: str
    where: str = ""
    transient: bool = False
    suggestions: tuple[Suggestion, ...] = ()


@functools.cache
def load_refusals() -> tuple[Refusal, ...]:
    """Return the known refusals in the order in which they are compared."""
    import tomllib

    rows = tomllib.loads(Path(__file__).with_name("refusals.toml").read_text(encoding="utf-8"))["refusal"]
    for row in rows:
        row["suggestions"] = tuple(Suggestion(*one) for one in row.get("suggestions", ()))
    return tuple(Refusal(**row) for row in rows)


def explain_refusal(text: str, options: Options, command: str = "sbatch") -> Problem:
    """Return the problem of a job that sbatch refused. Slurm is asked for the names that exist.

    :param text: what sbatch printed, with the lines of a site's own submit plugin.
    :param options: those of the batch script.
    :param command: another command, such as `sinfo`, that failed.
    """
    why = f"{command} says: {quote_message(text) or 'nothing'}."
    for kind in load_refusals():
        if match := re.search(kind.pattern, text):
            given = options.get(OPTIONS_OF_FLAGS.get(kind.where, kind.where.removeprefix("--"))) or ""
            given = given or next(filter(None, match.groups()), "")
            fixes = kind.suggestions or tuple(suggest_existing(kind.code, kind.where, given, options))
            problem = make_problem(kind.code, kind.title, kind.where, given, why, *fixes)
            return replace(problem, transient=kind.transient)
    if command != "sbatch":
        return make_problem("slurm-failed", f"{command} failed", "", "", why)
    return make_problem("slurm-refused", "Slurm refused the job", "", "", why)


def quote_message(text: str) -> str:
    """Return what a command printed in one redacted line, without what every message has."""
    lines = re.split(r"\n|(?:^|(?<=\s))s\w+: (?:error: )?", text.replace("Batch job submission failed: ", ""))
    sentences = dict.fromkeys(line.strip().rstrip(".") for line in lines if line.strip())
    return redact("; ".join(sentences), max_length=MAX_TEXT_LENGTH)


def suggest_existing(code: str, flag: str, given: str, options: Options) -> Iterator[Suggestion]:
    """Yield the names that the cluster has for an option, the nearest first; how to list them if it does not answer."""
    template = f"{flag} {{}}"
    try:
        if code in ("slurm-account-refused", "slurm-qos-refused"):
            accounts, qualities = list_associations()
            yield from suggest_names(template, given, accounts if flag == "--account" else qualities, LIST_ACCOUNTS)
            return
        partitions = cluster.query_partitions()
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


def list_associations() -> tuple[Sequence[str], Sequence[str]]:
    """Return the accounts and the qualities of service that this user has. Raise SlurmRefused, Rejected."""
    words = ("show", "associations", f"user={getpass.getuser()}", "format=account,qos")
    rows = [
        line.split("|") for line in run_slurm("sacctmgr", "-nP", *words, seconds=QUERY_SECONDS).splitlines() if line
    ]
    accounts = dict.fromkeys(row[0] for row in rows if row[0])
    qualities = dict.fromkeys(name for row in rows for name in row[-1].split(",") if name)
    return [*accounts], [*qualities]
