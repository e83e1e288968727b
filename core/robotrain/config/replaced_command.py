"""A whole command after `--` in place of that of a job file or an earlier run, which has values for its own command."""

from dataclasses import replace

from robotrain.config.command_options import begins_with_option
from robotrain.config.request import Request
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.workload import Workload

make_problem = Messages(__file__)

TABLES = ("params", "parameters")


def leave_out_unread(request: Request, workload: Workload, job: Job) -> tuple[Request, Problem | None]:
    """Return the request without the values that only the replaced command reads, with a note that names them.

    What the line itself gives stays: the user typed it for this command.

    :param job: what the request is resolved to.
    """
    command_files = [layer for layer in request.files if layer.arguments]
    if not workload.own_command or not command_files or not request.after_dashes:
        return request, None
    if begins_with_option(request.after_dashes):
        return request, None
    unread_keys = {f"{table}.{name}" for name in workload.own_command.list_unread(job) for table in TABLES}
    unread_keys -= request.line.values.keys()
    values_by_key = {key: value for layer in request.files for key, value in layer.values.items() if key in unread_keys}
    if not values_by_key:
        return request, None
    names = ", ".join(key.partition(".")[2] for key in values_by_key)
    first_place = next(iter(values_by_key.values())).origin.where
    note = make_problem("value-left-out", where=first_place, names=names, count=len(values_by_key))
    files = tuple(layer.without(unread_keys) for layer in request.files)
    return replace(request, files=files), note
