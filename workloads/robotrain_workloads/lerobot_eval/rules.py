"""Rules of `lerobot-eval` for a resolved job, on the submit side."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
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

from robotrain_workloads.lerobot import episode_numbers, versions
from robotrain_workloads.lerobot.backbones import HUB_KIND
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.lineage import find_start_source
from robotrain_workloads.lerobot_data_check import comparison
from robotrain_workloads.lerobot_eval import references
from robotrain_workloads.lerobot_eval.inputs import selection, simulation, tasks
from robotrain_workloads.lerobot_eval.parameters import OPTION_PATTERN, OWNED_OPTIONS
from robotrain_workloads.lerobot_options import package_options, rejected_options

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain_runtime.contract.container_plugin import WorkCommand

make_problem = Messages(__file__)

ROLLOUT_PARAMETERS = (
    *("env_tasks", "task_description", "env_steps", "starts", "success_reward", "success_threshold", "record_video"),
    *("env_workers", "confirm"),
)
POLICY_CHECK = "robotrain_workloads.lerobot_check.policy_check"
TASKS_FLAG = "--env-tasks"
FPS_PATTERN = re.compile("[1-9][0-9]{0,2}")
ENVIRONMENT_SUGGESTIONS = (Suggestion("--env pusht", "or aloha, metaworld, libero"),)
DATASET_SUGGESTIONS = (Suggestion("--dataset-repo-id OWNER/NAME", "or another dataset option"),)
TASK_OPTION = "--env.task="
EXAMPLE_TASKS = {"metaworld": "push-v3", "libero": "libero_spatial"}
MOST_LISTED = 5
"""More tasks are not listed in a message."""
STATUS_SUGGESTIONS = (Suggestion("robotrain status RUN", "shows the line that evaluates a run on its own dataset"),)
LONGEST_VALUE = 120


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
    if source is not None and re.search(r"/checkpoints/[0-9]+/?(pretrained_model/?)?$", source.uri):
        parent = re.sub(r"/[0-9]+/?(pretrained_model/?)?$", "", source.uri)
        ways = [Suggestion("--policy-run RUN", "all checkpoints of a run"), suggest_leaving_out(flag)]
        shown_uri = redact(source.uri, max_length=LONGEST_VALUE)
        yield make_problem(
            "checkpoints-not-scored.one-checkpoint",
            *ways,
            given=shown_uri,
            flag=flag,
            which=step_selection,
            parent=redact(parent),
        )
    elif source is not None and source.kind == HUB_KIND:
        ways = [Suggestion("--policy-run RUN", "all checkpoints of a run"), suggest_leaving_out(flag)]
        shown_uri = redact(source.uri, max_length=LONGEST_VALUE)
        yield make_problem("checkpoints-not-scored.repository", *ways, given=shown_uri, flag=flag, which=step_selection)
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
                flag = _make_flag(name)
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
    states = _list_states(job) if job["env"] else ()
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


def check_rollout(job: "Job") -> Iterator[Problem]:
    """Check the options for rollouts, which have no effect without an environment."""
    yield from _check_scenes(job)
    if job["env"] is None:
        for name in ROLLOUT_PARAMETERS:
            if job[name] is not None and job[name] is not False:  # 0 is a value that was set
                flag = _make_flag(name)
                yield _make_unused_problem(f"{flag} has no effect without --env", flag, job[name])
        return
    env = str(job["env"])
    yield from _check_tasks(job, env)
    yield from _check_steps(job, env)
    yield from _check_starts(job, env)
    yield from _check_confirmation(job)
    yield from _check_success_reward(job, env)


def _check_scenes(job: "Job") -> Iterator[Problem]:
    """Reject scenes for an environment that has its own."""
    source = next((source for source in job.sources if source.role == simulation.SCENES_ROLE), None)
    env = str(job["env"] or "")
    if source is not None and not (env and simulation.SIMULATED_ENVIRONMENTS[env].scenes):
        scene_environments = [
            name for name, environment in simulation.SIMULATED_ENVIRONMENTS.items() if environment.scenes
        ]
        ways = (Suggestion("leave out the scenes"), *(Suggestion(f"--env {name}") for name in scene_environments))
        shown_uri = redact(source.uri, max_length=LONGEST_VALUE)
        yield make_problem(
            "option-without-effect.scenes", *ways, given=shown_uri, takers=" and ".join(scene_environments)
        )


def _check_tasks(job: "Job", env: str) -> Iterator[Problem]:
    """Require tasks that the environment has, where it has several."""
    env_tasks = job["env_tasks"]
    catalog = tasks.get_catalog(env, job["lerobot_version"])
    task_option = next((option for option in job.trainer_args if option.startswith(TASK_OPTION)), "")
    needs_tasks = simulation.SIMULATED_ENVIRONMENTS[env].needs_tasks
    if task_option and (needs_tasks or env_tasks is not None):
        task_text = redact(task_option.removeprefix(TASK_OPTION), max_length=LONGEST_VALUE)
        yield make_problem(
            "option-owned", given=redact(task_option, max_length=LONGEST_VALUE), env=env, value=task_text
        )
    elif needs_tasks and env_tasks is None:
        yield make_problem(
            "value-missing.tasks",
            absent=("env_tasks",),
            env=env,
            count=len(catalog.tasks),
            groups=", ".join(catalog.groups),
            example_tasks=EXAMPLE_TASKS[env],
        )
    if env_tasks is not None:
        yield from _find_unknown_tasks(env, str(env_tasks), catalog)


def _find_unknown_tasks(env: str, env_tasks: str, catalog: tasks.TaskCatalog) -> Iterator[Problem]:
    shown_value = redact(env_tasks, max_length=LONGEST_VALUE)
    task_names = tasks.split_names(env_tasks)
    if not catalog.tasks:
        ways = (suggest_leaving_out(TASKS_FLAG),)
        yield make_problem("option-without-effect.one-task", *ways, given=shown_value, env=env)
        return
    example = Suggestion(f"{TASKS_FLAG} {EXAMPLE_TASKS.get(env) or next(iter(catalog.tasks))}", "for example")
    if not task_names:
        yield make_problem(
            "value-invalid.no-task",
            given=shown_value,
            example_tasks=EXAMPLE_TASKS.get(env) or next(iter(catalog.tasks)),
        )
    task_summary = ", ".join(catalog.tasks) if len(catalog.tasks) <= MOST_LISTED else f"{len(catalog.tasks)} tasks"
    groups_text = f"; groups of them are {', '.join(catalog.groups)}" if catalog.groups else ""
    for name in (name for name in task_names if name not in catalog.names):
        prefix = f"{TASKS_FLAG} "
        same_root_tasks = [task for task in catalog.tasks if _get_root(task) == _get_root(name)]
        version_ways = tuple(Suggestion(prefix + task, "the version that LeRobot has") for task in same_root_tasks)
        yield make_problem(
            "value-invalid.unknown-task",
            *version_ways or suggest_name(name, catalog.names, prefix=prefix) or (example,),
            given=shown_value,
            env=env,
            name=redact(name, max_length=LONGEST_VALUE),
            listed=task_summary,
            groups=groups_text,
        )


def _get_root(task: str) -> str:
    """Return the name of a task without its version, and without the environment that LeRobot's own default has."""
    name = task.removeprefix("metaworld-")
    root, version, _ = name.rpartition("-v")
    return root if version else name


def _check_steps(job: "Job", env: str) -> Iterator[Problem]:
    """Reject more steps than an episode of the environment can have."""
    steps, most_steps = job["env_steps"], simulation.SIMULATED_ENVIRONMENTS[env].most_steps
    if steps is not None and most_steps is not None and steps > most_steps:
        ways = (Suggestion(f"--env-steps {most_steps}"), suggest_leaving_out("--env-steps"))
        yield make_problem("value-out-of-range.steps", *ways, given=str(steps), env=env, most=most_steps)


def check_task_description(job: "Job") -> Iterator[Problem]:
    """Reject a description without words."""
    if job["task_description"] is not None and not str(job["task_description"]).strip():
        flag = "--task-description"
        ways = (Suggestion(f"{flag} TEXT"), suggest_leaving_out(flag))
        yield make_problem("value-invalid.empty", *ways, flag=flag)


def _check_starts(job: "Job", env: str) -> Iterator[Problem]:
    """Parse the starts as the run will."""
    try:
        simulation.parse_starts(job["starts"], env)
    except (ValueError, RecursionError) as error:
        suggestions = (
            Suggestion("--starts NAME", "easy, like the recorded episodes"),
            Suggestion("--starts '[[256, 400, 200, 300, 0.8]]'", "states, used in turn"),
            Suggestion("--starts '{\"distance\": [40, 80]}'", "ranges; others are as in easy"),
        )
        is_placeable = simulation.SIMULATED_ENVIRONMENTS[env].has_placeable_objects
        yield make_problem(
            "value-invalid.starts",
            *suggestions if is_placeable else (suggest_leaving_out("--starts"),),
            given=redact(job["starts"], max_length=LONGEST_VALUE),
            why=_format_error(error) if isinstance(error, ValueError) else "It is nested too deeply.",
        )


def _check_confirmation(job: "Job") -> Iterator[Problem]:
    """Require several checkpoints for a confirmation, and starts that did not choose the best of them."""
    episodes, flag = job["confirm"], "--confirm"
    if episodes is None:
        return
    if job["checkpoints"] is None:
        ways = [Suggestion("--checkpoints all"), suggest_leaving_out(flag)]
        yield make_problem("confirmation-not-fresh.one-checkpoint", *ways, given=str(episodes), flag=flag)
    count = len({*_list_states(job)})
    needed_starts = job["eval_episodes"] + episodes
    if 0 < count < needed_starts:
        ways = [Suggestion("--starts easy", "each episode has its own start"), suggest_leaving_out(flag)]
        yield make_problem(
            "confirmation-not-fresh.too-few-starts",
            *ways,
            given=str(episodes),
            count=count,
            flag=flag,
            needed=needed_starts,
            eval_episodes=job["eval_episodes"],
        )


def _list_states(job: "Job") -> tuple[tuple[float, ...], ...]:
    """Return the states that episodes start from; none if they are not listed, or not as they must be."""
    with suppress(ValueError, RecursionError):  # reported elsewhere
        starts = simulation.parse_starts(job["starts"], str(job["env"]))
        return starts.states if isinstance(starts, simulation.StartStates) else ()
    return ()


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
        selection.parse_episodes(requested)
    except ValueError as error:
        example_forms = (episode_numbers.EXAMPLE, selection.HELD_OUT, selection.ALL)
        nearest_ways = suggest_name(requested, (selection.HELD_OUT, selection.ALL), prefix=f"{flag} ")
        suggestions = nearest_ways or (Suggestion(f"{flag} EPISODES", f"such as {', '.join(example_forms)}"),)
        yield make_problem(
            "value-invalid.episodes", *suggestions, given=episodes_text, flag=flag, why=_format_error(error)
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
            yield _make_unused_problem("an --env. option has no effect without --env", "--", argument)
        else:
            yield from _check_policy_option(job, argument)


def _check_policy_option(job: "Job", argument: str) -> Iterator[Problem]:
    """Check an option of the policy with those of all types of LeRobot; one that none has, a package may have."""
    compared_options: tuple[str, ...] = (argument,)
    if job["packages"]:
        lerobot = versions.get_version(job["lerobot_version"])
        compared_options, unchecked_names = package_options.split_options(compared_options, lerobot, is_known=True)
        yield from package_options.warn_of_unchecked(unchecked_names)
    yield from rejected_options.find_option_problems(compared_options, {}, OWNED_OPTIONS, json_prefix="policy.")


def _check_success_reward(job: "Job", env: str) -> Iterator[Problem]:
    """Reject a reward that no episode or every episode reaches."""
    reward, flag = job["success_reward"], "--success-reward"
    if reward is None:
        return
    max_reward = simulation.SIMULATED_ENVIRONMENTS[env].max_reward
    if float(reward) > max_reward:
        yield make_problem("value-out-of-range.never-reached", given=f"{reward:g}", env=env, best=max_reward, flag=flag)
    if float(reward) <= 0:
        yield make_problem(
            "value-out-of-range.always-reached", given=f"{reward:g}", env=env, flag=flag, best=max_reward
        )


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


def _make_flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _has_dataset(job: "Job") -> bool:
    return any(source.role == "dataset" for source in job.sources)


def _format_error(error: ValueError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _make_unused_problem(title: str, flag: str, option_value: object) -> Problem:
    shown_value = redact(str(option_value), max_length=LONGEST_VALUE)
    return make_problem(
        "option-without-effect.simulation",
        suggest_leaving_out(flag),
        *ENVIRONMENT_SUGGESTIONS,
        where=flag,
        given=shown_value,
        absent=("env",),
        title=title,
    )
