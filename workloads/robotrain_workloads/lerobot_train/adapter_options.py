"""Adapters in a training: LeRobot's options for them, what contradicts them, and the policy that they belong to.

Standard library only.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.problem import Problem, make_data_problem, suggest_leaving_out

from robotrain_workloads.lerobot import adapter, policy_repositories, versions
from robotrain_workloads.lerobot.adapter import Base
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.trained_model import TrainedModel

PREFIX = "--peft."
METHOD, RANK, ALPHA, MODULES = "method_type", "r", "lora_alpha", "target_modules"
LORA = "LORA"
RANK_FLAG = "--lora-rank"


def read_given(job: LerobotJob) -> dict[str, str]:
    """Return the values of the options `--peft.NAME=VALUE`, by NAME."""
    options = ((name, value) for name, value in job.options.items() if name.startswith(PREFIX))
    return {name.removeprefix(PREFIX): value or "" for name, value in options}


def trains_adapter(job: LerobotJob) -> bool:
    """Return whether an adapter is trained instead of all weights."""
    is_asked = job.parameters["lora_rank"] is not None or bool(read_given(job))
    return adapter.is_adapter(job.start.settings) or (is_asked and job.start.mode in ("policy", "weights"))


def make_options(job: LerobotJob) -> Iterator[str]:
    """Yield what LeRobot needs to train an adapter, as far as the user does not say it; a checkpoint says it itself."""
    adapter_settings: dict[str, object] = {}
    if job.start.mode not in ("policy", "weights"):
        return
    if adapter.is_adapter(job.start.settings):
        with suppress(OSError, ValueError):  # reported with the other problems of its files
            saved_adapter = adapter.load_adapter(job.start.model_folder)
            adapter_settings = {METHOD: saved_adapter.method, RANK: saved_adapter.rank}
    elif (rank := job.parameters["lora_rank"]) is not None:
        adapter_settings = {METHOD: LORA, RANK: rank, ALPHA: rank}
    options = read_given(job)
    yield from (
        f"{PREFIX}{name}={value}"
        for name, value in adapter_settings.items()
        if value is not None and name not in options
    )


def explain_unknown_modules(model: TrainedModel) -> tuple[str, str]:
    """Return that LeRobot does not know what an adapter of a type changes, and what to type."""
    adapter_types = [kind for kind, facts in model.lerobot.policies.items() if facts.adapter_modules]
    title = f"LeRobot {model.lerobot.name} does not know which modules of {model.kind} an adapter changes"
    return f"{title}: it knows those of {', '.join(adapter_types)}", f"{PREFIX}{MODULES}=MODULES"


def find_problems(job: LerobotJob) -> Iterator[Problem | str]:
    """Yield why LeRobot cannot train the adapter that the job asks for, if what it starts from can be read."""
    rank = job.parameters["lora_rank"]
    options = read_given(job)
    start = job.start
    source = job.start_source
    if source is None or start.mode == "scratch":
        return
    if adapter.is_adapter(start.settings):
        try:
            saved_adapter = adapter.load_adapter(start.model_folder)
        except (OSError, ValueError) as error:
            yield str(error)
            return
        if rank is not None and (saved_adapter.method.upper() != LORA or rank != saved_adapter.rank):
            start_text = (
                f"{source.uri} is an adapter, {saved_adapter.method} of rank {saved_adapter.rank}, and "
                "LeRobot goes on with it as it is"
            )
            way = (
                f"{RANK_FLAG} {saved_adapter.rank}"
                if saved_adapter.method.upper() == LORA
                else suggest_leaving_out(RANK_FLAG)
            )
            yield make_data_problem(f"{start_text}: {RANK_FLAG} {rank} has no effect", way)
        yield from adapter.find_option_conflicts(saved_adapter, options, source.uri)
    elif rank is None and not options:
        return
    elif start.mode == "checkpoint":
        start_text = f"the checkpoint {source.uri} trains all weights of its policy, and goes on with them"
        yield make_data_problem(
            f"{start_text}: to train an adapter on it, start a new training",
            f"--policy-path CHECKPOINT {RANK_FLAG} RANK",
        )
    elif job.model.section == versions.REWARD_MODELS:
        yield f"LeRobot {job.model.lerobot.name} trains adapters of policies only, and {source.uri} is a reward model"
    elif not job.model.facts.adapter_modules and MODULES not in options:
        yield "\n-- ".join(explain_unknown_modules(job.model))


def find_base(job: LerobotJob) -> tuple[Base, Path] | None:
    """Return the policy that the adapter belongs to, and its folder; None if no adapter is trained.

    Raise OSError or ValueError.
    """
    source, run = job.start_source, job.document.run
    if source is None or job.policy_folder is None or not trains_adapter(job):
        return None
    if not adapter.is_adapter(job.start.settings):
        return adapter.describe_base(source, run), job.start.model_folder
    if base_source := policy_repositories.find_base(job):
        base, brought_source, folder = base_source
        return base if base.sha256 else adapter.describe_base(brought_source, run), folder
    return adapter.load_adapter(job.start.model_folder).base, job.policy_folder  # an earlier attempt


def make_launcher_arguments(job: LerobotJob) -> Iterator[str]:
    """Yield what tells the launcher the base of the adapter that is trained."""
    if base_policy := find_base(job):
        base, folder = base_policy
        yield f"--base={folder}"
        yield f"--base-reference={json.dumps(base._asdict())}"


def make_tags(job: LerobotJob) -> dict[str, str]:
    """Return the tags of a registered adapter: its method, its rank and its base; none of a whole policy."""
    if not trains_adapter(job):
        return {}
    options = read_given(job)
    tags = {
        "adapter": options.get(METHOD, LORA),
        "adapter_rank": str(job.parameters["lora_rank"] or options.get(RANK, "")),
    }
    with suppress(OSError, ValueError):
        if adapter.is_adapter(job.start.settings):
            saved_adapter = adapter.load_adapter(job.start.model_folder)
            tags = {"adapter": saved_adapter.method, "adapter_rank": str(saved_adapter.rank or "")}
        if base_policy := find_base(job):
            tags["adapter_base"] = str(base_policy[0])
    return tags
