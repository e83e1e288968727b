"""`robotrain policies`: the policy types and reward models of LeRobot, what each needs, and the options of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from robotrain.cli.arguments import JsonOption, argument
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import format_table, print_json, print_message, print_result
from robotrain.config.trainer_args import format_program_option, list_program_options
from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import find_nearest_name
from robotrain.redaction import redact

from robotrain_workloads.lerobot import versions

make_problem = Messages(__file__)

TRAINING = "lerobot-train"
SECTIONS = {versions.POLICIES: "policy_type", versions.REWARD_MODELS: "reward_model"}
"""The parameter of the training that takes the types of each section of a version."""


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
        _show_type(ctx, type, json)
    elif json:
        print_json(
            {section: [_dump(name) for name, owner in types.items() if owner == section] for section in SECTIONS}
        )
    else:
        for section, parameter in SECTIONS.items():
            rows = [
                (name, "; ".join(_describe_needs(_get_facts(name))))
                for name, owner in types.items()
                if owner == section
            ]
            print_result(format_table([(_format_flag(parameter), "NEEDS"), *rows]) + "\n")
        print_message("`robotrain policies TYPE` shows the options of one")


def _show_type(ctx: typer.Context, name: str, json: bool) -> None:
    types = list_types()
    if name not in types:
        meant_name = find_nearest_name(name, types)
        raise Rejected(
            [
                make_problem(
                    "value-unknown",
                    *([Suggestion(f"robotrain policies {meant_name}")] if meant_name else []),
                    given=redact(name),
                    name=redact(name),
                )
            ]
        )
    parameter, facts = SECTIONS[types[name]], _get_facts(name)
    options = [] if facts.refused else list_program_options(get_plugins(ctx).workload(TRAINING), {parameter: name})
    if json:
        print_json({**_dump(name), "options": [option._asdict() for option in options]})
        return
    print_result(f"{name}: {'; '.join(_describe_needs(facts))}")
    if options:
        print_result("\n" + format_table([("OPTION", ""), *map(format_program_option, options)]))
        print_message(f"options stand after --: robotrain submit {_format_flag(parameter)} {name} … -- OPTION")


def list_types() -> dict[str, str]:
    """Return every type of the newest LeRobot by name, policies first, with its section."""
    return {name: section for section in SECTIONS for name in sorted(versions.get_version().get_types(section))}


def _get_facts(name: str) -> versions.ModelType:
    return versions.get_version().types[name]


def _dump(name: str) -> dict[str, Any]:
    facts = _get_facts(name)
    return {"type": name, "is_trained": not facts.refused, "needs": list(_describe_needs(facts))}


def _format_flag(parameter: str) -> str:
    return f"--{parameter.replace('_', '-')}"


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
