"""Run the program of a job on one of several nodes: `python -m robotrain_workloads.command.node_program`.

The starter of the nodes runs it on each. The supervisor, on the first one, follows what the program leaves.
"""

import os
import sys

from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR

from robotrain_workloads.command import program_spec, program_start
from robotrain_workloads.command.program_start import NotStarted
from robotrain_workloads.exit_status import exit_with_status
from robotrain_workloads.nodes import node_group
from robotrain_workloads.supervision import node_program
from robotrain_workloads.supervision.node_program import LauncherWatch


def main() -> None:
    """Run the program that the environment describes. Raise SystemExit as it ended."""
    os.environ[EVENTS_DESCRIPTOR] = str(os.open(os.devnull, os.O_WRONLY))  # the supervisor has sent the same notes
    spec = program_spec.read_spec(os.environ[program_spec.SPEC_VARIABLE])
    group = node_group.join_group()
    node_group.report_start(group.ends)
    try:
        program = program_start.start_program(spec, program_start.make_environ(spec), group, has_pipe=True)
    except NotStarted as error:
        node_group.report_end(group, error.exit_code, str(error))
        sys.exit(error.exit_code)
    watch = LauncherWatch(program.pid) if spec.values["launcher"] else None
    exit_with_status(node_program.follow_program(group, program, watch))


if __name__ == "__main__":
    main()
