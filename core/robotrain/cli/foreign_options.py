"""Options of other tools that no command has: what does the same, or the sentence that robotrain cannot do it.

Those that only one platform or workload can answer are among its `option_hints`.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.cli.command_factory import load_command
from robotrain.command_table import COMMANDS
from robotrain.config.selection import Choice
from robotrain.errors import Suggestion, suggest_leaving_out
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins

ONE_MACHINE = "Such a job runs on one machine."
SEVERAL_GPUS, SEVERAL_NODES = "multi_gpu", "multi_node"
"""The features that options for the number of GPUs and of nodes require."""


class ForeignOption(NamedTuple):
    """What is said about options of other tools."""

    flags: str
    """Separated by spaces."""
    sentence: str
    ways: tuple[Suggestion, ...] = ()
    """Lines to type; an option counts only for the commands that have it."""
    is_about_gpus: bool = False
    """Whether the option for the number of GPUs does the same."""
    is_dispensable: bool = True
    """Whether the job is the same without them."""


FOREIGN_OPTIONS = (
    ForeignOption(
        "-N --nodes --num-nodes --nnodes --node-count --machines --num-machines --instance-count --num-instances"
        " --replicas --num-replicas",
        ONE_MACHINE,
        is_dispensable=False,
    ),
    ForeignOption(
        "-G --gpu --num-gpu --gpus --gpus-per-node --gpus-per-task --nproc --nproc-per-node --num-processes --ntasks"
        " --ntasks-per-node --process-count-per-instance",
        "robotrain starts a process for each GPU of the machine.",
        is_about_gpus=True,
        is_dispensable=False,
    ),
    ForeignOption(
        "--detach --detach-run --background --async --async-call --no-wait --nowait --no-follow --skip-wait",
        "This command does not wait for the run: leave the option out.",
        (Suggestion("--skip-wait"),),
    ),
    ForeignOption(
        "-f --follow --attach --tail --logs --log --stream-logs",
        "The log is followed by another command.",
        (Suggestion("--stream", "shows the log until the run ends"), Suggestion("robotrain logs -f RUN")),
    ),
    ForeignOption(
        "-y --yes --force --assume-yes --no-confirm --auto-approve --no-prompt",
        "This command asks for no confirmation: leave the option out.",
    ),
    ForeignOption(
        "-e --envs --env-file --env-var --env-vars --environment-variables --export --secrets",
        "Variables of this machine's environment are not part of a job; --secret NAME=REFERENCE gives its program one "
        "from where secrets are stored.",
        is_dispensable=False,
    ),
    ForeignOption("-J --run-name", "", (Suggestion("--name NAME", "what robotrain's commands call the run"),)),
    ForeignOption(
        "--array --job-array --grid",
        "One run for each of several values is a sweep.",
        (Suggestion("robotrain sweep … --over NAME=VALUE,VALUE"),),
    ),
    ForeignOption(
        "--parallel --max-parallel --concurrency --max-concurrent --num-parallel",
        "Only a sweep runs several jobs at a time.",
        (Suggestion("--at-most N"),),
    ),
    ForeignOption(
        "--trials --num-trials --n-trials --max-trials", "Only a sweep has trials.", (Suggestion("--samples N"),)
    ),
    ForeignOption(
        "--dependency --depends-on --after --afterok",
        "Jobs that depend on each other are the steps of a pipeline.",
        (Suggestion("robotrain pipeline submit pipeline.yaml"),),
    ),
    ForeignOption(
        "--partition --qos --gres --nodelist --constraint --exclusive --mem-per-cpu --mem-per-gpu --reservation"
        " --scheduler --sbatch",
        "Only a platform with a batch scheduler has options of sbatch; `robotrain platforms` shows the platforms.",
    ),
    ForeignOption(
        "--cloud --region --zone --use-spot --spot --cluster --infra --down --autostop --idle-minutes-to-autostop"
        " --retry-until-up",
        "robotrain rents no machines: the platform decides where a job runs, and when. `robotrain platforms`"
        " shows them.",
    ),
)
VARIABLE_OPTION, VARIABLES_OPTION = "--env", "--envs"
"""What other tools call a variable of the environment, where the value is NAME=VALUE, and several."""


def is_variable(flag: str, value: str) -> bool:
    """Return whether an option gives a variable of the environment, and not what it means here."""
    return flag == VARIABLE_OPTION and "=" in value


def find_foreign_option(
    flag: str, value: str, workload: Workload | None, flags: Iterable[str]
) -> tuple[str, list[Suggestion]] | None:
    """Return the sentence about an option of another tool, and what to type instead; None for an unknown one.

    :param flags: the options of the command.
    """
    name = VARIABLES_OPTION if is_variable(flag, value) else flag.replace("_", "-")
    found = next((one for one in FOREIGN_OPTIONS if name in one.flags.split()), None)
    if found is None:
        return None
    known, sentence = set(flags), found.sentence
    parameters = get_parameters(workload.parameters) if workload else ()
    gpus, nodes = (
        next((one.flag for one in parameters if one.param.requires == feature), "")
        for feature in (SEVERAL_GPUS, SEVERAL_NODES)
    )
    is_about_nodes = sentence == ONE_MACHINE and nodes in known
    if is_about_nodes:
        sentence = ""
    elif sentence == ONE_MACHINE and gpus in known:
        sentence += f" {gpus} N uses several GPUs of it."
    own = [way for way in found.ways if way.text.partition(" ")[0] in known]
    if own:
        sentence = ""
    ways = [*own, *(way for way in found.ways if not way.text.startswith("--"))]
    if (same := gpus if found.is_about_gpus else nodes if is_about_nodes else "") in known:
        ways.append(Suggestion(f"{same} {value if value.isdecimal() else 'N'}"))
    ways = [way if way.text.startswith("robotrain ") else way._replace(replaces=flag) for way in ways]
    return sentence, ways or [suggest_leaving_out(flag)] * found.is_dispensable


def list_commands_with(wanted: str, plugins: Plugins) -> list[str]:
    """Return robotrain's commands that have an option, in the order of help."""
    found = []
    for name in COMMANDS:
        command = load_command(name)
        members = {f"{name} {key}": one for key, one in getattr(command, "commands", {}).items()}
        for path, one in (members or {name: command}).items():
            if hasattr(one, "compose_own"):  # a job command, whose options depend on the choice
                has_it = wanted in one.compose_own(Choice("", ""), plugins).flags
            else:
                has_it = has_option(one, wanted)
            if has_it:
                found.append(path)
    return found


def has_option(command: Any, flag: str) -> bool:
    """Return whether a command that takes no job has an option."""
    return any(flag in (*one.opts, *one.secondary_opts) for one in command.params)
