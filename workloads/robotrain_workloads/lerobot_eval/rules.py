"""The rules of `lerobot-eval` on a resolved job, on the submit side."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion, suggest_name
from robotrain.redaction import redact

from robotrain_workloads.lerobot_eval.inputs import selection, simulation
from robotrain_workloads.lerobot_eval.parameters import OPTION_PATTERN, OWNED_OPTIONS

if TYPE_CHECKING:
    from robotrain.model.job import Job

ROLLOUT_PARAMETERS = ("env_steps", "starts", "success_reward", "success_threshold", "record_video", "env_workers")
FPS_PATTERN = re.compile("[1-9][0-9]{0,2}")
ENVIRONMENT_SUGGESTION = Suggestion("--env pusht", "or aloha")
DATASET_SUGGESTION = Suggestion("--dataset-repo-id OWNER/NAME", "or any other dataset")


def check_policy(job: "Job") -> Iterator[Problem]:
    """Exactly one: a trained one, or an untrained one that is made for a dataset."""
    given = selection.find_policy_source(job.sources)
    if given and job["builtin_policy"]:
        yield _make_problem(
            "two-policies",
            "an evaluation is of one policy, and this one has two",
            "--builtin-policy",
            why=f"--builtin-policy is a policy of its own, which was never trained; the other is {redact(given.uri)}.",
            instead=(Suggestion("leave out --builtin-policy"),),
        )
    if not given and not job["builtin_policy"]:
        ways = (
            Suggestion("--policy-run latest", "what was trained last"),
            Suggestion("--policy-path FOLDER"),
            Suggestion("--builtin-policy", "an untrained one, as a baseline"),
        )
        absent = ("policy", "builtin_policy")
        yield _make_problem("no-policy", "an evaluation needs a policy", instead=ways, absent=absent)


def check_evaluation_target(job: "Job") -> Iterator[Problem]:
    """A policy acts in an environment, or beside recorded episodes; an untrained one is made for those."""
    if _has_dataset(job):
        return
    if job["builtin_policy"]:
        if selection.find_policy_source(job.sources):  # two policies: that is told, and which one is meant is open
            return
        yield _make_problem(
            "builtin-without-dataset",
            "an untrained policy is made for a dataset, and none is given",
            "--builtin-policy",
            instead=(DATASET_SUGGESTION,),
            absent=("dataset", "policy"),
        )
    elif job["env"] is None:
        why = "A policy is evaluated on recorded episodes, in a simulated environment, or both."
        yield _make_problem(
            "nothing-to-evaluate-on",
            "there is nothing to evaluate on",
            why=why,
            instead=(DATASET_SUGGESTION, ENVIRONMENT_SUGGESTION),
            absent=("dataset", "env"),
        )


def check_rollout_options(job: "Job") -> Iterator[Problem]:
    """What is said of episodes in an environment counts for nothing without one."""
    if job["env"] is None:
        for name in ROLLOUT_PARAMETERS:
            if job[name] is not None and job[name] is not False:  # 0 is a number that somebody said
                flag = "--" + name.replace("_", "-")
                yield _make_problem(
                    "without-env",
                    f"{flag} is about episodes in a simulated environment, and none is named",
                    flag,
                    redact(str(job[name])),
                    instead=(ENVIRONMENT_SUGGESTION,),
                    absent=("env",),
                )


def check_starts(job: "Job") -> Iterator[Problem]:
    """Read here as it is read there."""
    from robotrain_workloads.lerobot_eval.inputs import simulation

    if job["env"] is None or job["starts"] is None:
        return
    try:
        simulation.parse_starts(job["starts"], job["env"])
    except (ValueError, RecursionError) as error:
        said = _format_error(error) if isinstance(error, ValueError) else "It is nested too deeply."
        ways = (
            Suggestion("--starts easy"),
            Suggestion("--starts '[[256, 400, 200, 300, 0.8]]'", "states, taken in turn"),
            Suggestion("--starts '{\"distance\": [40, 80]}'", "ranges; what is not named is as in easy"),
        )
        yield _make_problem(
            "starts-invalid",
            "--starts does not say where episodes start",
            "--starts",
            redact(job["starts"], max_length=120),
            said,
            ways if job["env"] == simulation.PLACEABLE_ENVIRONMENT else (Suggestion("leave out --starts"),),
        )


def check_replay_episodes(job: "Job") -> Iterator[Problem]:
    """Which episodes are replayed: said in a way that can be read, and there are some."""
    asked = job["replay_episodes"]
    if asked is None:
        return
    flag, given = "--replay-episodes", redact(asked, max_length=120)
    if not _has_dataset(job):
        title = "--replay-episodes is about recorded episodes, and no dataset is given"
        yield _make_problem(
            "replay-without-dataset", title, flag, given, instead=(DATASET_SUGGESTION,), absent=("dataset",)
        )
    try:
        selection.parse_episodes(asked)
    except ValueError as error:
        ways = tuple(
            Suggestion(f"{flag} {form}") for form in (selection.EXAMPLE_EPISODES, selection.HELD_OUT, selection.ALL)
        )
        title = "--replay-episodes names no episodes"
        yield _make_problem("replay-episodes-invalid", title, flag, given, _format_error(error), ways)


def check_lerobot_options(job: "Job") -> Iterator[Problem]:
    """After `--` stand LeRobot's options of the environment and the policy, and nothing else."""
    for argument in job.trainer_args:
        if argument.partition("=")[0] in OWNED_OPTIONS:  # that is told already, with what to use
            continue
        found = OPTION_PATTERN.fullmatch(argument)
        if found is None:
            ways = (Suggestion("-- --policy.NAME=VALUE"), Suggestion("-- --env.NAME=VALUE"))
            why = "There is no trainer here: what stands after `--` sets up the policy, or the environment."
            title = "an evaluation takes options of the policy and of the environment alone"
            yield _make_problem("option-unknown", title, "--", redact(argument, max_length=120), why, ways)
        elif found[1] == "env" and job["env"] is not None:
            yield from _check_environment_option(argument, str(job["env"]))
        elif found[1] == "env":
            title = "an option of the environment, and no environment is named"
            given = redact(argument, max_length=120)
            yield _make_problem("without-env", title, "--", given, instead=(ENVIRONMENT_SUGGESTION,), absent=("env",))


def _check_environment_option(argument: str, env: str) -> Iterator[Problem]:
    """The names that an environment's options have are known here; those of a policy are LeRobot's to know."""
    option, _, value = argument.partition("=")
    name = option.removeprefix("--env.").partition(".")[0]
    known = simulation.list_environment_options(env)
    if name not in known:
        title = f"the environment {env} has no option {redact(option)}"
        why = f"It has {', '.join(known)}."
        ways = suggest_name(name, known, prefix="-- --env.")
        yield _make_problem("option-unknown", title, "--", redact(argument, max_length=120), why, ways)
    elif name == "fps" and not FPS_PATTERN.fullmatch(value):
        title = "--env.fps is how many pictures of a film are shown in a second"
        ways = (Suggestion("-- --env.fps=10", "any whole number from 1 to 999"),)
        yield _make_problem("option-invalid", title, "--", redact(argument, max_length=120), instead=ways)


def check_success_reward(job: "Job") -> Iterator[Problem]:
    """A reward that no episode can reach makes every one a failure; one that none can miss, a success."""
    asked, env = job["success_reward"], job["env"]
    if env is None or asked is None:
        return
    best = simulation.SIMULATED_ENVIRONMENTS[str(env)].max_reward
    if float(asked) > best:
        title = f"no episode succeeds: {env} gives no reward above {best:g}"
        ways = (Suggestion(f"--success-reward {best:g}", "or less"),)
        yield _make_problem("success-reward-out-of-reach", title, "--success-reward", f"{asked:g}", instead=ways)
    if float(asked) <= 0:
        title = f"every episode succeeds: {env} gives no reward below 0"
        ways = (Suggestion(f"--success-reward {best:g}", "or less, above 0"),)
        yield _make_problem("success-reward-always-reached", title, "--success-reward", f"{asked:g}", instead=ways)


def check_registration(job: "Job") -> Iterator[Problem]:
    """An untrained policy is a baseline, and nobody's model."""
    if job["builtin_policy"] and job["register_model"] is not None:
        title = "an untrained policy is not registered: it is made anew by every run"
        ways = (Suggestion("leave out --register-model"),)
        yield _make_problem("builtin-not-registered", title, "--register-model", job["register_model"], instead=ways)


def _has_dataset(job: "Job") -> bool:
    return any(source.role == "dataset" for source in job.sources)


def _format_error(error: ValueError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _make_problem(
    code: str,
    title: str,
    where: str = "",
    value: str = "",
    why: str = "",
    instead: tuple[Suggestion, ...] = (),
    absent: tuple[str, ...] = (),
) -> Problem:
    return Problem(
        code=code, stage=Stage.USAGE, title=title, where=where, given=value, why=why, suggestions=instead, absent=absent
    )
