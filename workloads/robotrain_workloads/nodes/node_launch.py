"""The work of a job of several nodes, as the runtime starts it."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract import job_node
from robotrain_runtime.contract.document import JobDocument, expand_variables

from robotrain_workloads.nodes.node_group import NODES_VARIABLE, STATIC_PORT, JobNodes

STARTER = "robotrain_workloads.nodes.starter"
ENDS_FOLDER = ".nodes"
"""In the run folder: how each node ended."""
_HOST_AND_PORT = re.compile(r"(\[.+\]|[^:]+):([^:\]]+)")


def make_arguments(document: JobDocument, work: Path, program: Sequence[str]) -> list[str]:
    """Return the arguments of Python for a program that each node runs.

    :param program: the arguments on a node.
    """
    count = job_node.count_nodes(document)
    launcher = document.placement.node_launcher
    return make_starter_arguments(count, launcher, work, program) if count > 1 and launcher else [*program]


def make_starter_arguments(
    count: int, launcher: Sequence[str], work: Path, program: Sequence[str], *, stops_by_file: bool = False
) -> list[str]:
    """Return the arguments of Python for a program that is started on each of several nodes.

    :param stops_by_file: whether the program looks for `STOP_FILE`, and gets no signal.
    """
    options = [f"--count={count}", f"--launcher={json.dumps(launcher)}", f"--ends={work / ENDS_FOLDER}"]
    return ["-m", STARTER, *options, *(["--stops-by-file"] if stops_by_file else []), "--", *program]


def make_environ(document: JobDocument) -> Mapping[str, str]:
    """Return the variables that describe the group, where the platform starts the job on each node.

    Raise JobFailed or UnsetVariable.
    """
    count, placement = job_node.count_nodes(document), document.placement
    if count == 1 or not job_node.is_started_on_each_node(document):
        return {}
    address, port = read_address(placement.node_address)
    group = JobNodes(
        count=count,
        address=address,
        port=port,
        id=document.run,
        rank=job_node.read_node_rank(document),
    )
    return {NODES_VARIABLE: group.to_json()}


def read_address(address_text: str) -> tuple[str, int]:
    """Return the host and the port of `node_address`. An address of IPv6 may have brackets. Raise UnsetVariable."""
    match = _HOST_AND_PORT.fullmatch(address_text) or _HOST_AND_PORT.fullmatch(
        address_text := expand_variables(address_text)
    )
    host, port = match.groups() if match else (address_text, STATIC_PORT)
    return expand_variables(host).strip("[]"), int(expand_variables(str(port)))
