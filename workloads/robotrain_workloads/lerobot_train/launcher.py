"""Runs inside the training environment: LeRobot's own trainer, in this process, with its numbers passed on exactly.

`python -m robotrain_workloads.lerobot_train.launcher --device auto [--first STEP] … -- TRAINER OPTIONS`
"""

import argparse
import atexit
import importlib
import multiprocessing
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Note, Track

from robotrain_workloads.lerobot_train import agreement, dataset, device, processors, rank, split, weights_and_biases
from robotrain_workloads.lerobot_train.ending import Alone, Ending, Together
from robotrain_workloads.lerobot_train.trainer_args import value_of
from robotrain_workloads.lerobot_train.watch import Watch

TRAINER = "lerobot.scripts.lerobot_train"


def main(arguments: Sequence[str]) -> None:
    """Train, alone or as one of several. Raises SystemExit."""
    among = agreement.of_this_process()
    if among is None:
        _train(arguments, Alone())
        return
    with rank.failing(among):
        rank.begin()
        _train(arguments, Together(among, first=device.first_rank()))


def _train(arguments: Sequence[str], ending: Ending) -> None:
    """Raises SystemExit with a sentence, or with the exit code of a trainer that was told to stop."""
    at = arguments.index("--")
    given, trainer = _own(arguments[:at]), list(arguments[at + 1 :])
    if device.first_rank() and given.tag:
        emit(Track(tags=dict(tag.split("=", 1) for tag in given.tag)))
    if given.first >= int(value_of(trainer, "--steps") or 1):  # an earlier attempt came to the end
        return
    if device.first_rank():
        print("loading LeRobot and PyTorch", flush=True)
    trainer.append(f"--policy.device={device.choose(given.device)}")
    root = Path(value_of(trainer, "--dataset.root") or "")
    trainer += split.guard(root, trainer)
    if device.first_rank():  # only now it is known: a task of one episode switches it off
        emit(Track(params={"val_split": value_of(trainer, split.SPLIT) or "0"}))
    if given.random_backbone and dataset.cameras(dataset.info(root)):
        _say_backbone()
    if not given.first:
        _make_way(Path(value_of(trainer, "--output_dir") or ""))
    sys.argv = ["lerobot-train", *trainer]  # LeRobot reads it more than once
    module = importlib.import_module(TRAINER)
    if given.new_processors:
        processors.make_anew(module)
    if weights_and_biases.ENABLED in trainer and device.first_rank():
        weights_and_biases.lenient()
    steps, log_freq = int(value_of(trainer, "--steps") or 0), int(value_of(trainer, "--log_freq") or 1)
    Watch(steps, log_freq, ending, given.first).install(module)
    atexit.register(_end_workers)
    try:
        module.main()
    except Exception as error:
        if sentence := _known(error, root):
            raise SystemExit(f"error: {sentence}") from error
        raise


def _known(error: Exception, root: Path) -> str:
    """A sentence for what LeRobot says in other words."""
    if type(error).__name__ == "OfflineModeIsEnabled":  # LeRobot looks on the Hub for what it misses in a folder
        return f"{root} holds less than its meta/info.json says, or files are missing"
    if unlike := next((line.strip() for line in str(error).splitlines() if "size mismatch for" in line), ""):
        return f"the policy's weights do not fit the network that the options after -- describe: {unlike}"
    return ""


def _end_workers() -> None:
    """After a failure the processes that load data are still there, and Python would wait for them for ever."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would raise over the real reason
    for process in multiprocessing.active_children():
        process.kill()


def _own(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--device", required=True)
    parser.add_argument("--random-backbone", action="store_true")
    parser.add_argument("--first", type=int, default=0, help="the step to go on from")
    parser.add_argument("--new-processors", action="store_true", help="of a policy only the network is taken over")
    parser.add_argument("--tag", action="append", default=[], help="NAME=VALUE, for the tracking run")
    return parser.parse_args(arguments)


def _say_backbone() -> None:
    text = (
        "the image backbone starts from random weights, because the usual ones would be downloaded;"
        " to have them: -- --policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1"
    )
    if device.first_rank():
        emit(Note(level="info", text=text))


def _make_way(output: Path) -> None:
    """LeRobot refuses a folder that exists; an empty one holds nothing that it could write over."""
    with suppress(FileNotFoundError):  # several processes are here at once
        if output.is_dir() and not any(output.iterdir()):
            output.rmdir()


if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":  # a process that loads data: a stop sent to the whole group is the trainer's to answer
    if agreement.of_this_process() is None:  # several trainers have groups of their own, and end as a group
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
