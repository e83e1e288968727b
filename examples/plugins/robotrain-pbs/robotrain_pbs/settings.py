"""Settings of PBS, what it supports, and the words of `qsub` that follow."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from robotrain.plugin import (
    ANY,
    YES,
    Capabilities,
    Messages,
    Param,
    Problem,
    SchedulerJob,
    SchedulerSettings,
    Support,
    format_memory,
    format_time,
    load_pairs,
    no,
    not_yet,
    parse_memory,
    parse_time,
)

make_problem = Messages(__file__)


@dataclass(frozen=True, kw_only=True)
class Settings(SchedulerSettings):
    """What PBS has beside time, cores, GPUs, memory and folders."""

    queue: Annotated[
        str | None,
        Param(
            help="queue (default: the server's)",
            common=True,
            pattern=r"[A-Za-z][\w.-]*(@[\w.-]+)?",
            pattern_help="QUEUE[@SERVER]",
        ),
    ] = None
    account: Annotated[
        str | None,
        Param(help="account that is charged", destination=True, pattern=r"[\w.:+-]+", pattern_help="one word"),
    ] = None
    resources: Annotated[
        str | None,
        Param(
            help="another resource of the chunk: gpu_model=a100", flag="--resource", metavar="NAME=VALUE", form="pairs"
        ),
    ] = None


ROLES = ("dataset", "policy", "reference", "init_policy", "checkpoint", "resume", "backbone", "scenes", "publish")
FEATURES = "several_datasets multi_gpu mixed_precision publish_folder wandb stream_logs cancel native_dag"
TRACKED = Support("yes", "With --tracking-uri.")
CAPABILITIES = Capabilities(
    sources={**{(role, ANY): YES for role in ROLES}, ("code", "local_path"): YES, ("code", "git"): YES},
    workloads={ANY: YES},
    features={
        **dict.fromkeys(FEATURES.split(), YES),
        **dict.fromkeys(("tracking", "register_model"), TRACKED),
        "multi_node": not_yet("It asks PBS for one chunk, and starts the program there.", "--num-nodes 1"),
        "runs_here": no("It runs on a node of the cluster.", "--platform local"),
    },
    required_settings=dict.fromkeys(("tracking", "register_model"), "tracking_uri"),
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", "none")),
)


SHORTEST_SECONDS = 60
OWN_OPTIONS = {"ncpus": "--cpus N", "mem": "--memory SIZE", "ngpus": "--gpus N", "walltime": "--time TIME"}
"""Resources that have an option of their own."""


def check_settings(settings: Settings) -> Iterator[Problem]:
    """Check what PBS would misread: a path that it takes for a host or a list, and resources."""
    for folder, flag in ((settings.runs_dir, "--runs-dir"), (settings.cache_dir, "--cache-dir")):
        if re.search(r"[:,\n\r\0]", folder):
            yield make_problem("pbs-folder-path", where=flag, given=folder)
    if settings.time and (parse_time(settings.time) or 0) < SHORTEST_SECONDS:
        yield make_problem("pbs-time-short", given=settings.time)
    if settings.memory and (parse_memory(settings.memory) or 0) < 1:
        yield make_problem("pbs-memory-small", given=settings.memory)
    for name, value in load_pairs(settings.resources).items():
        if name in OWN_OPTIONS:
            yield make_problem("pbs-resource-owned", given=f"{name}={value}", name=name, option=OWN_OPTIONS[name])
        elif not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*=[A-Za-z0-9._/-]+", text := f"{name}={value}"):
            yield make_problem("pbs-resource-malformed", given=text)


def make_words(settings: Settings, scheduler_job: SchedulerJob) -> list[str]:
    """Return the words of qsub for settings without gaps.

    -f: no process of qsub stays behind. --: PBS starts the program itself; with a script, a shell stands between PBS
    and it, which ends at the first signal, before a checkpoint is saved.
    """
    memory = format_memory(int(parse_memory(settings.memory or "") or 0))
    chunk = {"ncpus": settings.cpus, "mem": f"{memory.lower()}b", "ngpus": settings.gpus or None}
    resources = [f"{name}={value}" for name, value in (chunk | load_pairs(settings.resources)).items() if value]
    select = ":".join(["select=1", *resources])
    named = {"-q": settings.queue, "-A": settings.account}
    words = [word for option, value in named.items() if value for word in (option, value)]
    limits = ["-l", select, "-l", f"walltime={format_time(parse_time(settings.time or '') or 0)}"]
    printed = ["-j", "oe", "-o", f"{scheduler_job.folder}/{scheduler_job.output}"]
    started = ["-r", "y", "-v", f"ROBOTRAIN_TOKEN={scheduler_job.token}", "--", *scheduler_job.program]
    return ["-f", "-N", scheduler_job.name, *words, *limits, *printed, *started]
