"""The options of the launcher itself, which the job's command puts before those of LeRobot's trainer."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path


def parse_launcher_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the launcher's options. Raise SystemExit for any that it does not have."""
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--device", required=True)
    parser.add_argument("--trains", default="policy", help="what the names of its options begin with")
    parser.add_argument("--weights", type=Path, help="a file of weights that the cameras' network starts from")
    parser.add_argument("--weights-name", default="", help="the name that torchvision has for them")
    parser.add_argument("--given-weights", action="store_true", help="the user gives the file")
    parser.add_argument("--first", type=int, default=0, help="the step to continue from")
    parser.add_argument("--loads-alone", action="store_true", help="the user wants no process that loads data")
    parser.add_argument("--allow-non-finite", action="store_true", help="keep NaN and infinite weights")
    parser.add_argument("--base", type=Path, help="the folder of the policy that the trained adapter belongs to")
    parser.add_argument("--base-reference", default="", help="where it comes from, as JSON")
    parser.add_argument("--new-processors", action="store_true", help="of a policy use only the network")
    parser.add_argument("--reads-task", action="store_true", help="the text of the task is trained on")
    parser.add_argument("--exclude-episodes", default="", help="numbers of those that are left out")
    parser.add_argument("--computed-statistics", action="store_true", help="of numbers, from the frames that are read")
    parser.add_argument("--relative-statistics", action="store_true", help="actions are normalized when relative")
    parser.add_argument("--mixture", type=json.loads, help="name and share of the samples of each dataset")
    parser.add_argument("--read-numbers", type=json.loads, default={}, help="features, by option of the comparison")
    parser.add_argument("--frame-cache", type=json.loads, default={}, help="of decoded frames, as JSON")
    parser.add_argument("--stop-after", type=int, default=0, help="validations without a lower loss")
    parser.add_argument("--cores-option", default="", help="what gives the job more cores, for people")
    parser.add_argument("--nodes", type=int, default=1, help="how many train together")
    parser.add_argument("--ranks", type=int, default=1, help="the processes on all of them")
    parser.add_argument("--batch", type=int, default=0, help="the samples of a step on each")
    parser.add_argument("--tag", action="append", default=[], help="NAME=VALUE, for the tracking run")
    return parser.parse_args(arguments)
