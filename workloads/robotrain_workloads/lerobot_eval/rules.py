"""The rules of `lerobot-eval` on a resolved job, on the submit side."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.nearest import offer
from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact

from robotrain_workloads.lerobot_eval import environments, episode_list, evaluated
from robotrain_workloads.lerobot_eval.options import FORM, OWNED

if TYPE_CHECKING:
    from robotrain.job import Job

OF_ROLLOUT = ("env_steps", "starts", "success_reward", "success_threshold", "record_video", "env_workers")
PICTURES = re.compile("[1-9][0-9]{0,2}")
ENVIRONMENT = Instead("--env pusht", "or aloha")
DATASET = Instead("--dataset-repo-id OWNER/NAME", "or any other dataset")


def policy(job: "Job") -> Iterator[Problem]:
    """Exactly one: a trained one, or an untrained one that is made for a dataset."""
    given = evaluated.source(job.sources)
    if given and job["builtin_policy"]:
        yield _wrong(
            "two-policies",
            "an evaluation is of one policy, and this one has two",
            "--builtin-policy",
            why=f"--builtin-policy is a policy of its own, which was never trained; the other is {redact(given.uri)}.",
            instead=(Instead("leave out --builtin-policy"),),
        )
    if not given and not job["builtin_policy"]:
        ways = (
            Instead("--policy-run latest", "what was trained last"),
            Instead("--policy-path FOLDER"),
            Instead("--builtin-policy", "an untrained one, as a baseline"),
        )
        absent = ("policy", "builtin_policy")
        yield _wrong("no-policy", "an evaluation needs a policy", instead=ways, absent=absent)


def something_to_do(job: "Job") -> Iterator[Problem]:
    """A policy acts in an environment, or beside recorded episodes; an untrained one is made for those."""
    if _replays(job):
        return
    if job["builtin_policy"]:
        if evaluated.source(job.sources):  # two policies: that is told, and which one is meant is open
            return
        yield _wrong(
            "builtin-without-dataset",
            "an untrained policy is made for a dataset, and none is given",
            "--builtin-policy",
            instead=(DATASET,),
            absent=("dataset", "policy"),
        )
    elif job["env"] is None:
        why = "A policy is evaluated on recorded episodes, in a simulated environment, or both."
        yield _wrong(
            "nothing-to-evaluate-on",
            "there is nothing to evaluate on",
            why=why,
            instead=(DATASET, ENVIRONMENT),
            absent=("dataset", "env"),
        )


def rollout(job: "Job") -> Iterator[Problem]:
    """What is said of episodes in an environment counts for nothing without one."""
    if job["env"] is None:
        for name in OF_ROLLOUT:
            if job[name] is not None and job[name] is not False:  # 0 is a number that somebody said
                flag = "--" + name.replace("_", "-")
                yield _wrong(
                    "without-env",
                    f"{flag} is about episodes in a simulated environment, and none is named",
                    flag,
                    redact(str(job[name])),
                    instead=(ENVIRONMENT,),
                    absent=("env",),
                )


def starts(job: "Job") -> Iterator[Problem]:
    """Read here as it is read there."""
    from robotrain_workloads.lerobot_eval.rollout import starts

    if job["env"] is None or job["starts"] is None:
        return
    try:
        starts.read(job["starts"], job["env"])
    except (ValueError, RecursionError) as error:
        said = _sentence(error) if isinstance(error, ValueError) else "It is nested too deeply."
        ways = (
            Instead("--starts easy"),
            Instead("--starts '[[256, 400, 200, 300, 0.8]]'", "states, taken in turn"),
            Instead("--starts '{\"distance\": [40, 80]}'", "ranges; what is not named is as in easy"),
        )
        yield _wrong(
            "starts-invalid",
            "--starts does not say where episodes start",
            "--starts",
            redact(job["starts"], longest=120),
            said,
            ways if job["env"] == starts.PLACED else (Instead("leave out --starts"),),
        )


def replay(job: "Job") -> Iterator[Problem]:
    """Which episodes are replayed: said in a way that can be read, and there are some."""
    asked = job["replay_episodes"]
    if asked is None:
        return
    flag, given = "--replay-episodes", redact(asked, longest=120)
    if not _replays(job):
        title = "--replay-episodes is about recorded episodes, and no dataset is given"
        yield _wrong("replay-without-dataset", title, flag, given, instead=(DATASET,), absent=("dataset",))
    try:
        episode_list.read(asked)
    except ValueError as error:
        ways = tuple(Instead(f"{flag} {form}") for form in (episode_list.FORM, episode_list.HELD_OUT, episode_list.ALL))
        title = "--replay-episodes names no episodes"
        yield _wrong("replay-episodes-invalid", title, flag, given, _sentence(error), ways)


def options(job: "Job") -> Iterator[Problem]:
    """After `--` stand LeRobot's options of the environment and the policy, and nothing else."""
    for argument in job.trainer_args:
        if argument.partition("=")[0] in OWNED:  # that is told already, with what to use
            continue
        found = FORM.fullmatch(argument)
        if found is None:
            ways = (Instead("-- --policy.NAME=VALUE"), Instead("-- --env.NAME=VALUE"))
            why = "There is no trainer here: what stands after `--` sets up the policy, or the environment."
            title = "an evaluation takes options of the policy and of the environment alone"
            yield _wrong("option-unknown", title, "--", redact(argument, longest=120), why, ways)
        elif found[1] == "env" and job["env"] is not None:
            yield from _of_environment(argument, str(job["env"]))
        elif found[1] == "env":
            title = "an option of the environment, and no environment is named"
            given = redact(argument, longest=120)
            yield _wrong("without-env", title, "--", given, instead=(ENVIRONMENT,), absent=("env",))


def _of_environment(argument: str, env: str) -> Iterator[Problem]:
    """The names that an environment's options have are known here; those of a policy are LeRobot's to know."""
    option, _, value = argument.partition("=")
    name = option.removeprefix("--env.").partition(".")[0]
    known = environments.options(env)
    if name not in known:
        title = f"the environment {env} has no option {redact(option)}"
        why = f"It has {', '.join(known)}."
        ways = offer(name, known, before="-- --env.")
        yield _wrong("option-unknown", title, "--", redact(argument, longest=120), why, ways)
    elif name == "fps" and not PICTURES.fullmatch(value):
        title = "--env.fps is how many pictures of a film are shown in a second"
        ways = (Instead("-- --env.fps=10", "any whole number from 1 to 999"),)
        yield _wrong("option-invalid", title, "--", redact(argument, longest=120), instead=ways)


def reward(job: "Job") -> Iterator[Problem]:
    """A reward that no episode can reach makes every one a failure; one that none can miss, a success."""
    asked, env = job["success_reward"], job["env"]
    if env is None or asked is None:
        return
    best = environments.SIMULATED[str(env)].best
    if float(asked) > best:
        title = f"no episode succeeds: {env} gives no reward above {best:g}"
        ways = (Instead(f"--success-reward {best:g}", "or less"),)
        yield _wrong("success-reward-out-of-reach", title, "--success-reward", f"{asked:g}", instead=ways)
    if float(asked) <= 0:
        title = f"every episode succeeds: {env} gives no reward below 0"
        ways = (Instead(f"--success-reward {best:g}", "or less, above 0"),)
        yield _wrong("success-reward-always-reached", title, "--success-reward", f"{asked:g}", instead=ways)


def registered(job: "Job") -> Iterator[Problem]:
    """An untrained policy is a baseline, and nobody's model."""
    if job["builtin_policy"] and job["register_model"] is not None:
        title = "an untrained policy is not registered: it is made anew by every run"
        ways = (Instead("leave out --register-model"),)
        yield _wrong("builtin-not-registered", title, "--register-model", job["register_model"], instead=ways)


def _replays(job: "Job") -> bool:
    return any(source.role == "dataset" for source in job.sources)


def _sentence(error: ValueError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _wrong(
    code: str,
    title: str,
    where: str = "",
    given: str = "",
    why: str = "",
    instead: tuple[Instead, ...] = (),
    absent: tuple[str, ...] = (),
) -> Problem:
    return Problem(
        code=code, stage=Stage.USAGE, title=title, where=where, given=given, why=why, instead=instead, absent=absent
    )
