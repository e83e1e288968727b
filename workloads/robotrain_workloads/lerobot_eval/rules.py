"""Rules of `lerobot-eval` for a resolved job, on the submit side."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, make_usage_problem, suggest_choosing, suggest_leaving_out
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

from robotrain_workloads import rules
from robotrain_workloads.lerobot_eval.inputs import selection, simulation
from robotrain_workloads.lerobot_eval.parameters import OPTION_PATTERN, OWNED_OPTIONS

if TYPE_CHECKING:
    from robotrain.model.job import Job

ROLLOUT_PARAMETERS = ("env_steps", "starts", "success_reward", "success_threshold", "record_video", "env_workers")
FPS_PATTERN = re.compile("[1-9][0-9]{0,2}")
ENVIRONMENT_SUGGESTIONS = (Suggestion("--env pusht", "or aloha"),)
DATASET_SUGGESTIONS = (Suggestion("--dataset-repo-id OWNER/NAME", "or another dataset option"),)
STATUS_SUGGESTIONS = (Suggestion("robotrain status RUN", "shows the line that evaluates a run on its own dataset"),)
LONGEST_VALUE = 120


def check_policy(job: "Job") -> Iterator[Problem]:
    """Require exactly one policy, trained or untrained."""
    source = selection.find_policy_source(job.sources)
    if source and job["builtin_policy"]:
        yield make_usage_problem(
            "two-policies",
            "an evaluation takes one policy, but two are given",
            where="--builtin-policy",
            why=f"--builtin-policy is an untrained policy; the other one is {redact(source.uri)}.",
            suggestions=[suggest_choosing("--builtin-policy", redact(source.uri))],
        )
    if not source and not job["builtin_policy"]:
        yield make_usage_problem(
            "no-policy",
            "an evaluation needs a policy",
            suggestions=(
                Suggestion("--policy-run RUN", "the policy that a run trained: latest is the newest"),
                Suggestion("--policy-path FOLDER"),
                Suggestion("--builtin-policy", "an untrained one, as a baseline"),
            ),
            absent=("policy", "builtin_policy"),
        )


def check_evaluation_target(job: "Job") -> Iterator[Problem]:
    """Require a dataset or an environment; an untrained policy needs a dataset."""
    if _has_dataset(job):
        return
    if job["builtin_policy"]:
        if selection.find_policy_source(job.sources):  # two policies: reported already
            return
        yield make_usage_problem(
            "builtin-without-dataset",
            "an untrained policy needs a dataset",
            where="--builtin-policy",
            suggestions=DATASET_SUGGESTIONS,
            absent=("dataset", "policy"),
        )
    elif job["env"] is None:
        yield make_usage_problem(
            "nothing-to-evaluate-on",
            "there is neither a dataset nor an environment to evaluate on",
            why="A policy is evaluated on recorded episodes, in a simulated environment, or both.",
            suggestions=(*DATASET_SUGGESTIONS, *ENVIRONMENT_SUGGESTIONS, *STATUS_SUGGESTIONS),
            absent=("dataset", "env"),
        )


def check_rollout_options(job: "Job") -> Iterator[Problem]:
    """Reject options for rollouts without an environment."""
    if job["env"] is None:
        for name in ROLLOUT_PARAMETERS:
            if job[name] is not None and job[name] is not False:  # 0 is a value that was set
                flag = "--" + name.replace("_", "-")
                yield _make_unused_problem(f"{flag} has no effect without --env", flag, job[name])


def check_starts(job: "Job") -> Iterator[Problem]:
    """Parse the starts as the run will."""
    if job["env"] is None or job["starts"] is None:
        return
    try:
        simulation.parse_starts(job["starts"], job["env"])
    except (ValueError, RecursionError) as error:
        suggestions = (
            Suggestion("--starts NAME", "easy, like the recorded episodes"),
            Suggestion("--starts '[[256, 400, 200, 300, 0.8]]'", "states, used in turn"),
            Suggestion("--starts '{\"distance\": [40, 80]}'", "ranges; others are as in easy"),
        )
        is_placeable = job["env"] == simulation.PLACEABLE_ENVIRONMENT
        yield make_usage_problem(
            "starts-invalid",
            "--starts is invalid",
            where="--starts",
            given=redact(job["starts"], max_length=LONGEST_VALUE),
            why=_format_error(error) if isinstance(error, ValueError) else "It is nested too deeply.",
            suggestions=suggestions if is_placeable else (suggest_leaving_out("--starts"),),
        )


def check_replay_episodes(job: "Job") -> Iterator[Problem]:
    """Require valid episode numbers and a dataset."""
    requested, flag = job["replay_episodes"], "--replay-episodes"
    if requested is None:
        return
    given = redact(requested, max_length=LONGEST_VALUE)
    if not _has_dataset(job):
        yield make_usage_problem(
            "replay-without-dataset",
            f"{flag} has no effect without a dataset",
            where=flag,
            given=given,
            suggestions=(suggest_leaving_out(flag), *DATASET_SUGGESTIONS),
            absent=("dataset",),
        )
    try:
        selection.parse_episodes(requested)
    except ValueError as error:
        forms = (selection.EXAMPLE_EPISODES, selection.HELD_OUT, selection.ALL)
        near = suggest_name(requested, (selection.HELD_OUT, selection.ALL), prefix=f"{flag} ")
        suggestions = near or (Suggestion(f"{flag} EPISODES", f"such as {', '.join(forms)}"),)
        title = f"{flag} is invalid"
        yield make_usage_problem(
            "replay-episodes-invalid", title, flag, given=given, why=_format_error(error), suggestions=suggestions
        )


def check_lerobot_options(job: "Job") -> Iterator[Problem]:
    """Require that all options after `--` are LeRobot's for the environment or the policy."""
    for argument in job.trainer_args:
        if argument.partition("=")[0] in OWNED_OPTIONS:  # reported already, with a suggestion
            continue
        match = re.fullmatch(OPTION_PATTERN, argument)
        if match is None:
            yield make_usage_problem(
                "option-unknown",
                "an evaluation takes only --policy. and --env. options after --",
                where="--",
                given=redact(argument, max_length=LONGEST_VALUE),
                why="Options after `--` configure the policy or the environment; an evaluation has no trainer.",
                suggestions=(Suggestion("-- --policy.NAME=VALUE"), Suggestion("-- --env.NAME=VALUE")),
            )
        elif match[1] == "env" and job["env"] is not None:
            env = str(job["env"])  # the options of environments are known here, those of a policy are not
            option, _, value = argument.partition("=")
            name, given = option.removeprefix("--env.").partition(".")[0], redact(argument, max_length=LONGEST_VALUE)
            known = (*simulation.COMMON_OPTIONS, *simulation.SIMULATED_ENVIRONMENTS[env].options)
            if name not in known:
                title, why = f"the environment {env} has no option {redact(option)}", f"It has {', '.join(known)}."
                suggestions = suggest_name(name, known, prefix="-- --env.")
                yield make_usage_problem("option-unknown", title, "--", given=given, why=why, suggestions=suggestions)
            elif name == "fps" and not FPS_PATTERN.fullmatch(value):
                title = "--env.fps must be a whole number: frames of a video per second"
                suggestions = (Suggestion("-- --env.fps=10", "or any number from 1 to 999"),)
                yield make_usage_problem("option-invalid", title, "--", given=given, suggestions=suggestions)
        elif match[1] == "env":
            yield _make_unused_problem("an --env. option has no effect without --env", "--", argument)
        else:
            from robotrain_workloads.lerobot_options import option_tree

            yield from rules.make_option_problems(option_tree.find_option_problems((argument,), {}, OWNED_OPTIONS))


def check_success_reward(job: "Job") -> Iterator[Problem]:
    """Reject a reward that no episode or every episode reaches."""
    reward, env, flag = job["success_reward"], job["env"], "--success-reward"
    if env is None or reward is None:
        return
    best = simulation.SIMULATED_ENVIRONMENTS[str(env)].max_reward
    if float(reward) > best:
        title = f"no episode succeeds: {env} gives no reward above {best:g}"
        suggestions = (Suggestion(f"{flag} {best:g}", "or less"),)
        yield make_usage_problem(
            "success-reward-out-of-reach", title, flag, given=f"{reward:g}", suggestions=suggestions
        )
    if float(reward) <= 0:
        title = f"every episode succeeds: {env} gives no reward below 0"
        suggestions = (Suggestion(f"{flag} {best:g}", "or less, but above 0"),)
        yield make_usage_problem(
            "success-reward-always-reached", title, flag, given=f"{reward:g}", suggestions=suggestions
        )


def check_registration(job: "Job") -> Iterator[Problem]:
    """Reject the registration of an untrained policy."""
    if job["builtin_policy"] and job["register_model"] is not None:
        yield make_usage_problem(
            "builtin-not-registered",
            "an untrained policy cannot be registered: each run makes a new one",
            where="--register-model",
            given=job["register_model"],
            suggestions=(suggest_leaving_out("--register-model"),),
        )


def _has_dataset(job: "Job") -> bool:
    return any(source.role == "dataset" for source in job.sources)


def _format_error(error: ValueError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _make_unused_problem(title: str, where: str, value: object) -> Problem:
    given = redact(str(value), max_length=LONGEST_VALUE)
    return make_usage_problem(
        "without-env",
        title,
        where,
        given=given,
        suggestions=(suggest_leaving_out(where), *ENVIRONMENT_SUGGESTIONS),
        absent=("env",),
    )
