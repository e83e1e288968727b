"""Arguments of the trainer that robotrain sets itself or that are its own options, and what to use instead."""

from collections.abc import Iterator, Sequence

from robotrain_runtime.contract.parameter import list_flags

from robotrain.config.request import Request
from robotrain.config.sources import JobInputs
from robotrain.config.values import Value
from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload

make_problem = Messages(__file__)

REMOVAL = "remove it: "
"""What the hint of a managed option begins with if nothing takes its place."""


def find_misplaced_args(
    arguments: Sequence[Value], inputs: JobInputs, workload: Workload, platform: Platform, request: Request
) -> Iterator[Problem]:
    """Yield problems for trainer arguments that robotrain sets itself or that are its own options."""
    roles = {job_input.role for job_input in inputs.chosen}
    if workload.own_command or any(workload.roles[role].is_program for role in roles):
        return
    owner_by_flag = dict.fromkeys(request.flags, "robotrain")
    owner_by_flag |= dict.fromkeys(list_flags(workload.parameters), f"workload {workload.name}")
    owner_by_flag |= dict.fromkeys(list_flags(platform.settings), f"platform {platform.name}")
    for argument in arguments:
        name, equals, _ = str(argument.value).partition("=")
        managed = name if name in workload.managed_options else workload.get_option_name(name + equals)  # `+a.b=1`
        needed_roles = workload.managed_with_roles.get(name, ())
        where = argument.origin.where
        if needed_roles and roles.isdisjoint(needed_roles):
            needed, way = ", ".join(needed_roles), suggest_leaving_out(name)
            yield make_problem("option-owned.no-effect", way, where=where, given=name, name=name, needed=needed)
        elif managed in workload.managed_options:
            hint = workload.managed_options[managed]
            reason = hint.removeprefix(REMOVAL)
            way, why = Suggestion(hint), ""
            if reason != hint:
                way, why = suggest_leaving_out(name), f"{reason[:1].upper()}{reason[1:]}."
            yield make_problem("option-owned.set", way, where=where, given=name, name=name, why=why)
        elif name in owner_by_flag:
            yield make_problem(
                "option-elsewhere.after-dashes",
                Suggestion(name, "before --"),
                where=where,
                given=name,
                name=name,
                owner=owner_by_flag[name],
                program=workload.program,
            )
