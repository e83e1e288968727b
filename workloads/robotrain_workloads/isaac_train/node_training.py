"""Run Isaac Lab's training script on one of several nodes: `python -m robotrain_workloads.isaac_train.node_training …`.

The starter of the nodes runs it on each, with the arguments of the supervisor, which follows the training.
"""

import os
import sys
from collections.abc import Sequence

from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR

from robotrain_workloads.exit_status import exit_with_status
from robotrain_workloads.isaac.process_group import SCRATCH_FOLDER, start_script
from robotrain_workloads.isaac_train import supervisor
from robotrain_workloads.nodes import node_group
from robotrain_workloads.supervision import node_program


def main(arguments: Sequence[str]) -> None:
    """Run the script. Raise SystemExit as it ended."""
    os.environ[EVENTS_DESCRIPTOR] = str(os.open(os.devnull, os.O_WRONLY))  # the supervisor has sent the same notes
    program_options, script = supervisor.parse_arguments(arguments)
    group = node_group.join_group()
    node_group.report_start(group.ends)
    try:
        command = list(supervisor.make_command(program_options, script, group))
        program = start_script(command, program_options.work / SCRATCH_FOLDER, program_options.num_gpus, has_pipe=True)
    except OSError as error:
        node_group.report_end(group, 1, str(error))
        sys.exit(1)
    exit_with_status(node_program.follow_program(group, program))


if __name__ == "__main__":
    main(sys.argv[1:])
