"""`robotrain policies`: the policy types and reward models of LeRobot, what each needs, and the options of one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, NamedTuple

import typer
from robotrain.cli.arguments import JsonOption, argument
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import format_table, print_json, print_message, print_result
from robotrain.config.trainer_args import format_program_option, list_program_options
from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.version_parameters import OTHER_SPELLINGS

make_problem = Messages(__file__)

TRAINING = "lerobot-train"
LIST_WORDS = ("all", "list", "ls")
"""What other tools call the list that the command prints without a type."""
SECTIONS = {versions.POLICIES: "policy_type", versions.REWARD_MODELS: "reward_model"}
"""The parameter of the training that takes the types of each section of a version."""


class ListedType(NamedTuple):
    """A policy type or a reward model, as the newest version of LeRobot that has it says."""

    name: str
    section: str
    version: str
    facts: versions.ModelType

    @property
    def needs(self) -> list[str]:
        """What it needs beside actions and states, or why it is not trained."""
        return list(_describe_needs(self.facts))


def complete_types(incomplete: str) -> list[str]:
    """Return the types that begin like this."""
    return [name for name in list_types() if name.startswith(incomplete)]


def policies(
    ctx: typer.Context,
    type: Annotated[
        str, argument("[TYPE]", "Show one type, with its options and their defaults.", complete_types)
    ] = "",
    json: JsonOption = False,
) -> None:
    """List the policy types and reward models, and what each needs; show the options of one.

    robotrain policies smolvla
    """
    types = list_types()
    if type:
        _show_type(ctx, type, types, json)
    elif json:
        print_json(
            {
                name: [_dump(listed_type) for listed_type in types.values() if listed_type.section == name]
                for name in SECTIONS
            }
        )
    else:
        for section in SECTIONS:
            rows = [
                (listed_type.name, "; ".join(listed_type.needs))
                for listed_type in types.values()
                if listed_type.section == section
            ]
            print_result(format_table([(_format_flag(section), "NEEDS"), *rows]) + "\n")
        print_message("`robotrain policies TYPE` shows the options of one")


def _show_type(ctx: typer.Context, name: str, types: dict[str, ListedType], json: bool) -> None:
    if name not in types:
        usual_spelling = dict(OTHER_SPELLINGS).get(name, "")
        nearest_ways = (
            (Suggestion(f"robotrain policies {usual_spelling}"),)
            if usual_spelling
            else suggest_name(name, types, "robotrain policies ")
        )
        similar_types = [] if nearest_ways else get_close_matches(name, types, n=3, cutoff=0.5)
        if name in LIST_WORDS:
            similar_types, nearest_ways = [], (Suggestion("robotrain policies"),)
        ways = nearest_ways or [Suggestion(f"robotrain policies {shlex.quote(kind)}") for kind in similar_types]
        raise Rejected([make_problem("value-unknown", *ways, given=redact(name), name=redact(name))])
    chosen_type = types[name]
    parameters = {SECTIONS[chosen_type.section]: name, "lerobot_version": chosen_type.version}
    options = [] if chosen_type.facts.refused else list_program_options(get_plugins(ctx).workload(TRAINING), parameters)
    if json:
        print_json({**_dump(chosen_type), "options": [option._asdict() for option in options]})
        return
    print_result(f"{name}: {'; '.join(chosen_type.needs)}")
    if options:
        print_result("\n" + format_table([("OPTION", ""), *map(format_program_option, options)]))
        print_message(
            f"options stand after --: robotrain submit {_format_flag(chosen_type.section)} {name} … -- OPTION"
        )


def list_types() -> dict[str, ListedType]:
    """Return every type by name: policies first."""
    listed_types: dict[str, ListedType] = {}
    for section in SECTIONS:
        for name in sorted(versions.list_type_names(section)):
            version = next(version for version in versions.list_versions() if name in version.get_types(section))
            listed_types[name] = ListedType(name, section, version.name, version.get_types(section)[name])
    return listed_types


def _dump(listed_type: ListedType) -> dict[str, Any]:
    return {"type": listed_type.name, "is_trained": not listed_type.facts.refused, "needs": listed_type.needs}


def _format_flag(section: str) -> str:
    return f"--{SECTIONS[section].replace('_', '-')}"


def _describe_needs(facts: versions.ModelType) -> Iterator[str]:
    if facts.refused:
        yield f"not trained: {facts.refused}"
        return
    least_cameras, most_cameras = facts.cameras or (0, None)
    if most_cameras is not None:
        yield (
            f"{'exactly' if least_cameras == most_cameras else 'at most'} {most_cameras} "
            f"camera{'s' * (most_cameras > 1)}"
        )
    elif least_cameras:
        state_text = ", or an environment state" if facts.environment_state else ""
        yield f"{least_cameras} camera{'s' * (least_cameras > 1)} or more{state_text}"
    if facts.reads_reward:
        yield "rewards in the data (next.reward)"
    if facts.reads_task:
        yield "task texts"
    if facts.repositories:
        yield f"reads {', '.join(facts.repositories)}"
    if code := [
        name for name, repository in facts.repositories.items() if repository.code == "runs" and not repository.only_if
    ]:
        yield f"runs code of {', '.join(code)}"


app = make_app(policies)
