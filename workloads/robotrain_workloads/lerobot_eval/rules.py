"""Rules of `lerobot-eval` for a resolved job, on the submit side."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.errors import (
    Problem,
    Suggestion,
    suggest_choosing,
    suggest_leaving_out,
)
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact
from robotrain_runtime.comparison.continuation import load_comparisons
from robotrain_runtime.comparison.record import name_runs

from robotrain_workloads.dataset_check import comparison
from robotrain_workloads.lerobot import episode_numbers, versions
from robotrain_workloads.lerobot.backbones import HUB_KIND
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.lineage import find_start_source
from robotrain_workloads.lerobot_eval import references
from robotrain_workloads.lerobot_eval.inputs import held_out, simulation
from robotrain_workloads.lerobot_eval.parameters import OPTION_PATTERN, OWNED_OPTIONS
from robotrain_workloads.lerobot_eval.simulation_rules import (
    ENVIRONMENT_SUGGESTIONS,
    LONGEST_VALUE,
    format_error,
    list_states,
    make_flag,
    make_unused_problem,
)
from robotrain_workloads.lerobot_options import option_names

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain_runtime.contract.container_plugin import WorkCommand

make_problem = Messages(__file__)

POLICY_CHECK = "robotrain_workloads.lerobot_check.policy_check"
FPS_PATTERN = re.compile("[1-9][0-9]{0,2}")
DATASET_SUGGESTIONS = (Suggestion("--dataset-repo-id OWNER/NAME", "or another dataset option"),)
STATUS_SUGGESTIONS = (Suggestion("robotrain status RUN", "shows the line that evaluates a run on its own dataset"),)


def check_policy(job: "Job") -> Iterator[Problem]:
    """Require exactly one policy, trained or untrained."""
    source = find_start_source(job.sources)
    if source and job["builtin_policy"]:
        yield make_problem(
            "sources-conflict", suggest_choosing("--builtin-policy", redact(source.uri)), uri=redact(source.uri)
        )
    if not source and not job["builtin_policy"]:
        yield make_problem("source-missing.policy", absent=("policy", "builtin_policy"))


def check_scored_checkpoints(job: "Job") -> Iterator[Problem]:
    """Require a policy with checkpoints; note what compares them without an environment."""
    step_selection, flag = job["checkpoints"], "--checkpoints"
    if step_selection is None:
        return
    source = find_start_source(job.sources)
    is_one = source is not None and re.search(r"/checkpoints/[0-9]+/?(pretrained_model/?)?$", source.uri)
    if source is not None and (is_one or source.kind == HUB_KIND):
        ways = [Suggestion("--policy-run RUN", "all checkpoints of a run"), suggest_leaving_out(flag)]
        shown_uri = redact(source.uri, max_length=LONGEST_VALUE)
        yield make_problem("checkpoints-not-scored.one", *ways, given=shown_uri, flag=flag, which=step_selection)
    elif source is None and job["builtin_policy"]:
        yield make_problem("checkpoints-not-scored.builtin", suggest_leaving_out(flag), flag=flag)
    elif job["env"] is None:
        yield make_problem("checkpoints-replayed", *ENVIRONMENT_SUGGESTIONS)


def check_comparison(job: "Job") -> Iterator[Problem]:
    """Check a comparison with references, and say how many episodes it may need."""
    compared_sources = references.list_references(job.sources)
    if not compared_sources:
        for name in (*references.PARAMETERS, references.EARLIER):
            if job[name] not in (None, False):
                flag = make_flag(name)
                shown_value = f"{job[name]:g}" if isinstance(job[name], float) else ""
                yield make_problem("option-without-effect.reference", where=flag, given=shown_value, flag=flag)
        return
    if job["builtin_policy"]:
        yield make_problem("sources-conflict.untrained")
    if _has_dataset(job):
        shown_value = redact(next(source.uri for source in job.sources if source.role == "dataset"))
        yield make_problem("sources-conflict.replayed", given=shown_value)
        if job["env"] is None:
            yield make_problem("value-missing.environment", *ENVIRONMENT_SUGGESTIONS, absent=("env",))
    evaluated_source = find_start_source(job.sources)
    for reference in compared_sources:
        if evaluated_source and (reference.kind, reference.uri) == (evaluated_source.kind, evaluated_source.uri):
            shown_value = redact(reference.uri, max_length=LONGEST_VALUE)
            yield make_problem("sources-conflict.same-policy", where=reference.role, given=shown_value)
            return
    if step_selection := job["checkpoints"]:
        yield make_problem(
            "checkpoints-not-scored.compared", suggest_leaving_out("--checkpoints"), which=step_selection
        )
    if job["equal_within"] is not None and job["margin"] is not None:
        ways = (suggest_leaving_out("--equal-within"), suggest_leaving_out("--margin"))
        yield make_problem("options-conflict", *ways)
        return
    if job["allow_floor"] and job["equal_within"] is job["margin"] is None:
        yield make_problem("option-without-effect.floor", suggest_leaving_out("--allow-floor"))
        return
    try:
        earlier_comparisons = load_comparisons(job[references.EARLIER])
    except ValueError as error:
        yield make_problem("value-invalid.earlier", why=str(error))
        return
    if earlier_comparisons:
        yield make_problem("comparison-continued", runs=name_runs(earlier_comparisons))
    planned_pairs = references.plan_comparison(dict(job.parameters), len(compared_sources))
    states = list_states(job) if job["env"] else ()
    if states and len({*states}) < planned_pairs.fewest:
        ways = (Suggestion("--starts easy", "each episode has its own start"), suggest_leaving_out("--starts"))
        yield make_problem(
            "value-out-of-range.too-few-starts", *ways, count=len({*states}), fewest=planned_pairs.fewest
        )
    if planned_pairs.at_most < planned_pairs.fewest:
        yield make_problem("value-out-of-range.too-few", given=str(planned_pairs.at_most), fewest=planned_pairs.fewest)
    else:
        yield make_problem(
            "comparison-planned",
            policies=1 + len(compared_sources),
            fixed=planned_pairs.fixed,
            fewest=planned_pairs.fewest,
            at_most=planned_pairs.at_most,
            power=references.describe_power(dict(job.parameters), len(compared_sources), planned_pairs.at_most),
        )


def check_evaluation_target(job: "Job") -> Iterator[Problem]:
    """Require a dataset or an environment; an untrained policy needs a dataset."""
    if _has_dataset(job):
        return
    if job["builtin_policy"]:
        if find_start_source(job.sources):  # two policies: reported already
            return
        yield make_problem("source-missing.shapes", *DATASET_SUGGESTIONS, absent=("dataset", "policy"))
    elif job["env"] is None:
        yield make_problem(
            "source-missing.episodes",
            *DATASET_SUGGESTIONS,
            *ENVIRONMENT_SUGGESTIONS,
            *STATUS_SUGGESTIONS,
            absent=("dataset", "env"),
        )


def check_replay_episodes(job: "Job") -> Iterator[Problem]:
    """Require valid episode numbers and a dataset."""
    requested, flag = job["replay_episodes"], "--replay-episodes"
    for name, episodes_text in ((flag, requested), (episode_numbers.EXCLUDE_FLAG, job[episode_numbers.EXCLUDED])):
        if episodes_text is not None and not _has_dataset(job):
            yield make_problem(
                "option-without-effect.dataset",
                suggest_leaving_out(name),
                *DATASET_SUGGESTIONS,
                where=name,
                given=redact(episodes_text, max_length=LONGEST_VALUE),
                absent=("dataset",),
                flag=name,
            )
    if requested is None:
        return
    episodes_text = redact(requested, max_length=LONGEST_VALUE)
    try:
        held_out.parse_episodes(requested)
    except ValueError as error:
        example_forms = (episode_numbers.EXAMPLE, held_out.HELD_OUT, held_out.ALL)
        suggestions = suggest_name(requested, (held_out.HELD_OUT, held_out.ALL), prefix=f"{flag} ") or (
            Suggestion(f"{flag} EPISODES", f"such as {', '.join(example_forms)}"),
        )
        yield make_problem(
            "value-invalid.episodes", *suggestions, given=episodes_text, flag=flag, why=format_error(error)
        )


def check_lerobot_options(job: "Job") -> Iterator[Problem]:
    """Require that all options after `--` are LeRobot's for the environment or the policy."""
    previous_argument = ""
    for argument in job.trainer_args:
        is_value = previous_argument in OWNED_OPTIONS and not argument.startswith("--")
        previous_argument = argument
        if is_value or argument.partition("=")[0] in OWNED_OPTIONS:  # reported already, with a suggestion
            continue
        match = re.fullmatch(OPTION_PATTERN, argument)
        if match is None:
            yield make_problem("option-unknown.prefix", given=redact(argument, max_length=LONGEST_VALUE))
        elif match[1] == "env" and job["env"] is not None:
            env = str(job["env"])  # the options of environments are known here, those of a policy are not
            option, _, value = argument.partition("=")
            name = option.removeprefix("--env.").partition(".")[0]
            shown_argument = redact(argument, max_length=LONGEST_VALUE)
            option_names = (*simulation.COMMON_OPTIONS, *simulation.SIMULATED_ENVIRONMENTS[env].options)
            if name not in option_names:
                suggestions = suggest_name(name, option_names, prefix="-- --env.")
                yield make_problem(
                    "option-unknown.environment",
                    *suggestions,
                    given=shown_argument,
                    env=env,
                    option=redact(option),
                    known=", ".join(option_names),
                )
            elif name == "fps" and not FPS_PATTERN.fullmatch(value):
                yield make_problem("script-option-invalid", given=shown_argument)
        elif match[1] == "env":
            yield make_unused_problem("an --env. option has no effect without --env", "--", argument)
        else:
            yield from _check_policy_option(job, argument)


def _check_policy_option(job: "Job", argument: str) -> Iterator[Problem]:
    """Check an option of the policy with those of all types of LeRobot; one that none has, a package may have."""
    compared_options: tuple[str, ...] = (argument,)
    if job["packages"]:
        lerobot = versions.get_version(job["lerobot_version"])
        compared_options, unchecked_names = option_names.separate_unchecked(compared_options, lerobot, is_known=True)
        yield from option_names.warn_of_unchecked(unchecked_names)
    yield from option_names.check_names(compared_options, {}, OWNED_OPTIONS, json_prefix="policy.")


def check_registration(job: "Job") -> Iterator[Problem]:
    """Reject the registration of an untrained policy, and of one that may lose a comparison."""
    if references.list_references(job.sources) and job["register_model"] is not None and job["margin"] is None:
        yield make_problem("value-missing.gate", given=job["register_model"])
    if job["builtin_policy"] and job["register_model"] is not None:
        yield make_problem(
            "option-without-effect.untrained", suggest_leaving_out("--register-model"), given=job["register_model"]
        )


def find_unmet_needs(job: LerobotJob) -> Iterator[Problem | str]:
    """Yield why no untrained policy of the type can be made for the dataset."""
    yield from comparison.find_policy_problems(job)


def make_check_command(job: LerobotJob, environ: Mapping[str, str]) -> "WorkCommand | None":
    """Return the command that asks LeRobot about the policy's options; None without any, or for an unknown type."""
    from robotrain_runtime.contract.container_plugin import WorkCommand  # costs start-up

    options = [argument for argument in job.arguments if argument.startswith("--policy.")]
    kind = str(job.start.settings.get("type")) if job.start_source else job.model.kind
    if not options or kind not in job.model.lerobot.policies:
        return None
    policy = str(job.start.folder) if job.start_source else kind
    return WorkCommand(arguments=("-m", POLICY_CHECK, kind, policy, "--", *options), environ=environ)


def _has_dataset(job: "Job") -> bool:
    return any(source.role == "dataset" for source in job.sources)
