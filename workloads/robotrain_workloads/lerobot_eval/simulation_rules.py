"""Rules of `lerobot-eval` for episodes in a simulated environment: scenes, tasks, steps, starts."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from robotrain.errors import (
    Problem,
    Suggestion,
    suggest_leaving_out,
)
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

from robotrain_workloads.lerobot_eval.inputs import simulation

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)


ROLLOUT_PARAMETERS = (
    *("env_tasks", "task_description", "env_steps", "starts", "success_reward", "success_threshold", "record_video"),
    *("env_workers", "confirm"),
)


TASKS_FLAG = "--env-tasks"


ENVIRONMENT_SUGGESTIONS = (Suggestion("--env pusht", "or aloha, metaworld, libero"),)


TASK_OPTION = "--env.task="


EXAMPLE_TASKS = {"metaworld": "push-v3", "libero": "libero_spatial"}


MOST_LISTED = 5
"""More tasks are not listed in a message."""


LONGEST_VALUE = 120


def check_rollout(job: "Job") -> Iterator[Problem]:
    """Check the options for rollouts, which have no effect without an environment."""
    yield from _check_scenes(job)
    if job["env"] is None:
        for name in ROLLOUT_PARAMETERS:
            if job[name] is not None and job[name] is not False:  # 0 is a value that was set
                flag = make_flag(name)
                yield make_unused_problem(f"{flag} has no effect without --env", flag, job[name])
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
    catalog = simulation.get_catalog(env, job["lerobot_version"])
    task_option = next((option for option in job.trainer_args if option.startswith(TASK_OPTION)), "")
    needs_tasks = simulation.SIMULATED_ENVIRONMENTS[env].needs_tasks
    if task_option and (needs_tasks or env_tasks is not None):
        yield make_problem(
            "option-owned",
            given=redact(task_option, max_length=LONGEST_VALUE),
            env=env,
            value=redact(task_option.removeprefix(TASK_OPTION), max_length=LONGEST_VALUE),
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


def _find_unknown_tasks(env: str, env_tasks: str, catalog: simulation.TaskCatalog) -> Iterator[Problem]:
    shown_value = redact(env_tasks, max_length=LONGEST_VALUE)
    task_names = simulation.split_names(env_tasks)
    if not catalog.tasks:
        yield make_problem(
            "option-without-effect.one-task", *(suggest_leaving_out(TASKS_FLAG),), given=shown_value, env=env
        )
        return
    example = EXAMPLE_TASKS.get(env) or catalog.tasks[0]
    example_way = Suggestion(f"{TASKS_FLAG} {example}", "for example")
    if not task_names:
        yield make_problem("value-invalid.no-task", given=shown_value, example_tasks=example)
    task_summary = ", ".join(catalog.tasks) if len(catalog.tasks) <= MOST_LISTED else f"{len(catalog.tasks)} tasks"
    groups_text = f"; groups of them are {', '.join(catalog.groups)}" if catalog.groups else ""
    for name in (name for name in task_names if name not in catalog.names):
        yield make_problem(
            "value-invalid.unknown-task",
            *suggest_name(name, catalog.names, prefix=f"{TASKS_FLAG} ") or (example_way,),
            given=shown_value,
            env=env,
            name=redact(name, max_length=LONGEST_VALUE),
            listed=task_summary,
            groups=groups_text,
        )


def _check_steps(job: "Job", env: str) -> Iterator[Problem]:
    """Reject more steps than an episode of the environment can have."""
    steps, most_steps = job["env_steps"], simulation.SIMULATED_ENVIRONMENTS[env].most_steps
    if steps is not None and most_steps is not None and steps > most_steps:
        yield make_problem(
            "value-out-of-range.steps",
            *(Suggestion(f"--env-steps {most_steps}"), suggest_leaving_out("--env-steps")),
            given=str(steps),
            env=env,
            most=most_steps,
        )


def check_task_description(job: "Job") -> Iterator[Problem]:
    """Reject a description without words."""
    if job["task_description"] is not None and not str(job["task_description"]).strip():
        flag = "--task-description"
        yield make_problem("value-invalid.empty", *(Suggestion(f"{flag} TEXT"), suggest_leaving_out(flag)), flag=flag)


def _check_starts(job: "Job", env: str) -> Iterator[Problem]:
    """Parse the starts as the run will."""
    try:
        simulation.parse_starts(job["starts"], env)
    except ValueError as error:
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
            why=format_error(error),
        )


def _check_confirmation(job: "Job") -> Iterator[Problem]:
    """Require several checkpoints for a confirmation, and starts that did not choose the best of them."""
    episodes, flag = job["confirm"], "--confirm"
    if episodes is None:
        return
    if job["checkpoints"] is None:
        ways = [Suggestion("--checkpoints all"), suggest_leaving_out(flag)]
        yield make_problem("confirmation-not-fresh.one-checkpoint", *ways, given=str(episodes), flag=flag)
    count = len({*list_states(job)})
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


def list_states(job: "Job") -> tuple[tuple[float, ...], ...]:
    """Return the states that episodes start from; none if they are not listed, or not as they must be."""
    with suppress(ValueError):  # reported elsewhere
        starts = simulation.parse_starts(job["starts"], str(job["env"]))
        return starts.states if isinstance(starts, simulation.StartStates) else ()
    return ()


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


def make_flag(name: str) -> str:
    """Return the flag of a parameter."""
    return "--" + name.replace("_", "-")


def format_error(error: ValueError) -> str:
    """Return what an error says as a sentence."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def make_unused_problem(title: str, flag: str, option_value: object) -> Problem:
    """Return the problem of an option that only an environment reads."""
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
