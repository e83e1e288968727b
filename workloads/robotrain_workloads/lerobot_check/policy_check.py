"""Ask LeRobot whether it accepts the options of an evaluated policy: `-m …policy_check TYPE POLICY -- OPTIONS`.

POLICY is the folder with its config.json; the type alone for an untrained one.
"""

import sys
from collections.abc import Sequence

from robotrain_workloads.lerobot import loaded_policy
from robotrain_workloads.lerobot_check import verdicts


def main(arguments: Sequence[str]) -> None:
    """Print the verdict."""
    kind, policy, _, *options = arguments

    def read_options(options: Sequence[str]) -> None:
        loaded_policy.check_policy_configuration(policy, *options)

    verdicts.print_verdict(lambda: verdicts.judge_options(read_options, kind, (), options))


if __name__ == "__main__":
    main(sys.argv[1:])
