"""Run LeRobot's trainer in this process: `python -m robotrain_workloads.lerobot_train.launcher … -- OPTIONS`.

LeRobot (0.6) loads it from the folder of the weights, and stops when it is not there.

`python -m robotrain_workloads.lerobot_train.launcher --device auto [--first STEP] … -- TRAINER OPTIONS`
"""

import argparse
import ast
import atexit
import functools
import importlib
import multiprocessing
import signal
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from robotrain_runtime.contract.event import Note, Track, emit_event

from robotrain_workloads.lerobot import dataset, device
from robotrain_workloads.lerobot.dataset import count_episodes_by_task, find_emptied_tasks
from robotrain_workloads.lerobot.device import is_first_rank
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot_train import process_group, wandb
from robotrain_workloads.lerobot_train.process_group import GroupStop, SingleProcessStop, StopHandler
from robotrain_workloads.lerobot_train.trainer_monitor import TrainerMonitor

PROCESSOR_FACTORY = "make_pre_post_processors"


def rebuild_processors(trainer: ModuleType) -> None:
    """Let the trainer make its processors as for a new policy. Raises SystemExit when it makes them elsewhere."""
    original = getattr(trainer, PROCESSOR_FACTORY, None)
    if original is None:
        raise SystemExit(
            f"error: this LeRobot's trainer has no {PROCESSOR_FACTORY}: start from the whole policy, with --policy-path"
        )

    @functools.wraps(original)
    def anew(**named: Any) -> Any:
        renamed = named.get("preprocessor_overrides", {}).get("rename_observations_processor", {})
        made = original(**{**named, "pretrained_path": None, "pretrained_revision": None})
        for step in made[0].steps:
            if hasattr(step, "rename_map"):
                step.rename_map = dict(renamed.get("rename_map") or {})
        return made

    setattr(trainer, PROCESSOR_FACTORY, anew)


SPLIT_OPTION = "--dataset.eval_split"


def disable_empty_split(root: Path, arguments: Sequence[str]) -> list[str]:
    """Options that switch the held-out part off when a task would lose its only episodes, with a note; else none."""
    part = float(get_option_value(arguments, SPLIT_OPTION) or 0)
    if not part:
        return []
    emptied = find_emptied_tasks(count_episodes_by_task(root, _parse_episodes(arguments)), part)
    if not emptied:
        return []
    if is_first_rank():
        text = (
            f"no episodes are held out: a part of {part:g} would leave nothing to train on for"
            f" {len(emptied)} task(s), such as {emptied[0]!r}; so there is no val/loss"
        )
        emit_event(Note(level="warning", text=text))
    return [f"{SPLIT_OPTION}=0", "--eval_steps=0"]


def _parse_episodes(arguments: Sequence[str]) -> Collection[int] | None:
    """The episodes given as `--dataset.episodes=[0,1]`; None for all, and for what only LeRobot understands."""
    try:
        said = ast.literal_eval(get_option_value(arguments, "--dataset.episodes") or "None")
    except (ValueError, SyntaxError):
        return None
    return said if isinstance(said, list) else None


TRAINER = "lerobot.scripts.lerobot_train"


def main(arguments: Sequence[str]) -> None:
    """Train, alone or as one of several. Raises SystemExit."""
    among = process_group.get_process_agreement()
    if among is None:
        _run_trainer(arguments, SingleProcessStop())
        return
    with process_group.report_failures(among):
        process_group.attach_to_launcher()
        _run_trainer(arguments, GroupStop(among, first=device.is_first_rank()))


def _run_trainer(arguments: Sequence[str], ending: StopHandler) -> None:
    """Raises SystemExit with a sentence, or with the exit code of a trainer that was told to stop."""
    at = arguments.index("--")
    given, trainer = _parse_own_options(arguments[:at]), list(arguments[at + 1 :])
    if device.is_first_rank() and given.tag:
        emit_event(Track(tags=dict(tag.split("=", 1) for tag in given.tag)))
    if given.first >= int(get_option_value(trainer, "--steps") or 1):  # an earlier attempt came to the end
        return
    if device.is_first_rank():
        print("loading LeRobot and PyTorch", flush=True)
    trainer.append(f"--policy.device={device.choose_device(given.device)}")
    root = Path(get_option_value(trainer, "--dataset.root") or "")
    trainer += disable_empty_split(root, trainer)
    if device.is_first_rank():  # only now it is known: a task of one episode switches it off
        emit_event(Track(params={"val_split": get_option_value(trainer, SPLIT_OPTION) or "0"}))
    if given.random_backbone and dataset.list_cameras(dataset.load_dataset_info(root)):
        _note_random_backbone()
    if not given.first:
        _remove_empty_folder(Path(get_option_value(trainer, "--output_dir") or ""))
    sys.argv = ["lerobot-train", *trainer]  # LeRobot reads it more than once
    module = importlib.import_module(TRAINER)
    if given.new_processors:
        rebuild_processors(module)
    if wandb.ENABLED_OPTION in trainer and device.is_first_rank():
        wandb.allow_unknown_runs()
    steps, log_freq = int(get_option_value(trainer, "--steps") or 0), int(get_option_value(trainer, "--log_freq") or 1)
    TrainerMonitor(steps, log_freq, ending, given.first).install(module)
    atexit.register(_kill_workers)
    try:
        module.main()
    except Exception as error:
        if sentence := _explain_trainer_error(error, root):
            raise SystemExit(f"error: {sentence}") from error
        raise


def _explain_trainer_error(error: Exception, root: Path) -> str:
    """A sentence for what LeRobot says in other words."""
    if type(error).__name__ == "OfflineModeIsEnabled":  # LeRobot looks on the Hub for what it misses in a folder
        return f"{root} holds less than its meta/info.json says, or files are missing"
    if unlike := next((line.strip() for line in str(error).splitlines() if "size mismatch for" in line), ""):
        return f"the policy's weights do not fit the network that the options after -- describe: {unlike}"
    return ""


def _kill_workers() -> None:
    """After a failure the processes that load data are still there, and Python would wait for them for ever."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would raise over the real reason
    for process in multiprocessing.active_children():
        process.kill()


def _parse_own_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--device", required=True)
    parser.add_argument("--random-backbone", action="store_true")
    parser.add_argument("--first", type=int, default=0, help="the step to go on from")
    parser.add_argument("--new-processors", action="store_true", help="of a policy only the network is taken over")
    parser.add_argument("--tag", action="append", default=[], help="NAME=VALUE, for the tracking run")
    return parser.parse_args(arguments)


def _note_random_backbone() -> None:
    text = (
        "the image backbone starts from random weights, because the usual ones would be downloaded;"
        " to have them: -- --policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1"
    )
    if device.is_first_rank():
        emit_event(Note(level="info", text=text))


def _remove_empty_folder(output: Path) -> None:
    """LeRobot refuses a folder that exists; an empty one holds nothing that it could write over."""
    with suppress(FileNotFoundError):  # several processes are here at once
        if output.is_dir() and not any(output.iterdir()):
            output.rmdir()


if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":  # a process that loads data: a stop sent to the whole group is the trainer's to answer
    if process_group.get_process_agreement() is None:  # several trainers have groups of their own, and end as a group
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
