"""Run Isaac Lab's training script and follow it: `python -m robotrain_workloads.isaac_train.supervisor … -- ARGUMENTS`.

It runs beside Isaac Lab, in the run's own environment: it starts `isaaclab.sh` as a process group, reads what the
launcher reports and what TensorBoard's files hold, and passes a stop on to the group.
"""

import argparse
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.event import Checkpoint, Metrics, Processes, Track, emit_event, emit_note
from robotrain_runtime.contract.files import make_atomically
from robotrain_runtime.process.stop import ChildGroup

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.isaac import checkpoint_file, installation
from robotrain_workloads.isaac.process_group import REPORT_FILE, SCRATCH_FOLDER, start_script
from robotrain_workloads.nodes import node_group, node_launch
from robotrain_workloads.nodes.node_group import JobNodes
from robotrain_workloads.supervision.event_files import EventFileReader
from robotrain_workloads.supervision.json_lines import ReportReader
from robotrain_workloads.supervision.process_group import CLOSE_SECONDS, GroupFollower

LAUNCHER = Path(__file__).parent / "image" / "launcher.py"
NODE_TRAINING = "robotrain_workloads.isaac_train.node_training"
NOTHING_LEFT = 4
ENDED = f"Isaac Lab was ended, as it had not closed {CLOSE_SECONDS:.0f} s later"
EVENTS_SECONDS = 2.0
PARAMS = ("params/agent.yaml", "params/env.yaml")
VIDEOS = "videos"
"""The folder of videos, of Isaac Lab's training and of a checkpoint."""
REWARD = "mean_reward"
EPISODE_LENGTH = "mean_episode_length"
RSL_RL_NAMES = {
    "Train/mean_reward": REWARD,
    "Train/mean_episode_length": EPISODE_LENGTH,
    "Rnd/mean_extrinsic_reward": "mean_extrinsic_reward",
    "Rnd/mean_intrinsic_reward": "mean_intrinsic_reward",
    "Loss/learning_rate": "learning_rate",
    "Loss/value": "loss_value_function",
    "Policy/mean_noise_std": "mean_noise_std",
    "Policy/mean_std": "mean_noise_std",
    "Perf/collection time": "Perf/collection_time",
}
"""Names in tracking, by tags of rsl_rl 3 and 5; those of skrl 1 and 2 below. Names: contract, section F.3."""
RSL_RL_PREFIXES = {
    "Loss/": "loss_",
    "Episode_Reward/": "reward_terms/",
    "Curriculum/": "curriculum/",
    "Episode/": "episode_",
}
SKRL_STANDARD_NAMES = {"Reward / Total reward (mean)": REWARD, "Episode / Total timesteps (mean)": EPISODE_LENGTH}
"""Sent under both names."""
SB3_NAMES = {
    "rollout/ep_rew_mean": REWARD,
    "rollout/ep_len_mean": EPISODE_LENGTH,
    "train/value_loss": "loss_value_function",
    "train/learning_rate": "learning_rate",
    "train/std": "mean_noise_std",
}
NOT_ALLOWED = re.compile(r"[^\w\-. :/]", re.ASCII)
"""What MLflow does not allow in the name of a metric."""


def translate_metrics(backend: str, values_by_tag: Mapping[str, float]) -> dict[str, float]:
    """Return the values by their tracking names. Tags that are not known stay as they are."""
    metrics: dict[str, float] = {}
    for tag, value in values_by_tag.items():
        if backend == "skrl":
            name = re.sub(r" \((max|min|mean|std)\)$", r"/\1", tag)
            if "/" in (term := name.removeprefix("Info / ")):  # a term of the environment, in skrl 1 and 2
                name = term
            metrics[NOT_ALLOWED.sub("", name).strip()] = value
            if tag in SKRL_STANDARD_NAMES:
                metrics[SKRL_STANDARD_NAMES[tag]] = value
        elif backend == "sb3":
            metrics[SB3_NAMES.get(tag, NOT_ALLOWED.sub("_", tag))] = value
        elif tag in RSL_RL_NAMES:
            metrics[RSL_RL_NAMES[tag]] = value
        elif not re.fullmatch(r"Train/\w+/time", tag):  # its step is seconds
            prefix = next((prefix for prefix in RSL_RL_PREFIXES if tag.startswith(prefix)), "")
            metrics[NOT_ALLOWED.sub("_", RSL_RL_PREFIXES.get(prefix, "") + tag.removeprefix(prefix))] = value
    return metrics


class TrainingFollower:
    """Follows one run of `isaaclab.sh`: turns the launcher's reports and TensorBoard's files into events."""

    def __init__(self, group: ChildGroup, program_options: argparse.Namespace) -> None:
        self._group, self._own = GroupFollower(group), program_options
        self._reports = ReportReader(program_options.work / REPORT_FILE)
        self._finished = False
        self._nothing_left: dict[str, int] = {}
        self._folder: Path | None = None
        self._total: int | None = None
        self._rollouts = 1
        self._reader: EventFileReader | None = None
        self._videos = set[Path]()
        """Those that an earlier checkpoint has."""
        self._read_events_at = 0.0

    def run(self) -> int:
        """Follow the training to its end, and print why it failed; return the exit code of this program.

        Raise SystemExit with a sentence if the script ended early without an error.
        """
        self._group.run(self._follow)
        self.read_metrics()
        code = self._group.exit_code
        if self._group.is_stopped:
            return code
        if nothing_left := self._nothing_left:
            print(
                f"error: the checkpoint has {nothing_left['done']} iterations, and the training ends after "
                f"{nothing_left['total']}:"
                " increase --max-iterations",
                flush=True,
            )
            return NOTHING_LEFT
        if self._finished:
            if self._group.has_killed:
                emit_note(f"the training is complete; {ENDED}")
            elif code:
                note_text = f"the training is complete, but Isaac Lab closed with exit code {code}"
                emit_note(note_text, "warning")
            return 0
        if code == 0:
            raise WorkFailed("Isaac Lab's script ended with exit code 0, but it trained nothing: see its log above")
        return self._group.status

    def _follow(self) -> bool:
        self.read_reports()
        if time.monotonic() >= self._read_events_at:
            self._read_events_at = time.monotonic() + EVENTS_SECONDS
            self.read_metrics()
        return self._finished

    def read_reports(self) -> None:
        """Read what the launcher reported since."""
        for report in self._reports.read_new():
            if report["event"] == "began":
                self._folder, self._total = Path(report["folder"]), int(report["total"])
                self._rollouts = report["rollouts"]
                self._reader = EventFileReader(self._folder)
                emit_event(Metrics(values={}, step=int(report["first"]), total=self._total))
                emit_event(Track(tags={"log_dir": str(self._folder)}))
                if (count := report["processes"]) > 1:
                    envs = count * int(report["environments"])
                    emit_event(Processes(count=count, nodes=self._own.num_nodes, samples=envs, unit="environments"))
            elif report["event"] == "checkpoint":
                self._keep_checkpoint(Path(report["path"]), int(report["step"]))
            elif report["event"] == "nothing_left":
                self._nothing_left = report
            elif report["event"] == "finished":
                self._finished = True

    def read_metrics(self) -> None:
        """Send the metrics that were written since."""
        for row in self._reader.read_new() if self._reader else ():
            if metrics := translate_metrics(self._own.backend, row.values):
                emit_event(Metrics(values=metrics, step=row.step, total=self._total))

    def _keep_checkpoint(self, file: Path, step: int) -> None:
        """Copy a checkpoint, with the parameters that it cannot be used without, to the folder of its step."""
        target = self._own.checkpoints / f"{step:06}"
        if target.exists() or self._folder is None:
            return
        with make_atomically(target, key="save") as scratch:
            checkpoint_file.write_facts(scratch, self._own.task, self._own.backend, self._total, self._rollouts)
            shutil.copyfile(file, scratch / file.name)
            statistics_name = checkpoint_file.get_statistics_name(file)
            for name in (*PARAMS, checkpoint_file.RUN_FILE, *([statistics_name] if statistics_name else [])):
                if (self._folder / name).is_file():
                    shutil.copyfile(self._folder / name, scratch / name)
            for video in self._list_new_videos(file):
                (scratch / VIDEOS).mkdir(exist_ok=True)
                shutil.copyfile(video, scratch / VIDEOS / video.name)
        emit_event(Track(tags={"checkpoint_directory": str(file.parent), "checkpoint_latest": str(file)}))
        emit_event(Checkpoint(step=step, path=str(target)))

    def _list_new_videos(self, checkpoint: Path) -> list[Path]:
        """Return the videos of `--video` that were complete when a checkpoint was saved, and that no other one has."""
        assert self._folder is not None
        saving_time = checkpoint.stat().st_mtime_ns
        videos = [
            video for video in (self._folder / VIDEOS).glob("**/*.mp4") if video.stat().st_mtime_ns <= saving_time
        ]
        new_videos = sorted({*videos} - self._videos)
        self._videos.update(new_videos)
        return new_videos


def make_command(
    program_options: argparse.Namespace, arguments: Sequence[str], group: JobNodes | None = None
) -> Iterator[str]:
    """Yield the words that start Isaac Lab's script on this node, wrapped by the launcher.

    Raise OSError with a sentence.

    :param group: the nodes of several, with the rank of this one. Isaac Lab's own `train_multigpu` knows one node only.
    """
    lab = installation.find_installation(program_options.isaaclab_path, program_options.isaac_version)
    ranks = program_options.num_gpus * program_options.num_nodes
    yield from lab.python
    if ranks != 1:
        torchrun_options = ("--standalone", f"--nproc_per_node={program_options.num_gpus}")
        yield from (
            "-m",
            "torch.distributed.run",
            *(group.make_torchrun_options(program_options.num_gpus) if group else torchrun_options),
        )
    yield from (str(LAUNCHER), "--report", str(program_options.work / REPORT_FILE))
    if ranks != 1:
        yield f"--ranks={ranks}"
    if program_options.start is not None:
        file = checkpoint_file.find_checkpoint_file(program_options.start, program_options.backend)
        verb = "resuming from" if program_options.mode == "resume" else "starting with the weights of"
        emit_note(f"{verb} {file}")
        yield from ("--checkpoint", str(file), "--mode", program_options.mode)
        if (
            program_options.mode == "resume"
            and (number := checkpoint_file.parse_number(file, program_options.backend)) is not None
        ):
            yield f"--first={number}"
    if program_options.repeated:
        yield "--repeated"
    yield "--"
    yield from lab.make_script_words("train", program_options.backend)
    yield from lab.make_machine_arguments(program_options.backend, arguments, program_options.headless)
    yield from arguments


def parse_arguments(arguments: Sequence[str]) -> tuple[argparse.Namespace, Sequence[str]]:
    """Return the options of this program, and the arguments of Isaac Lab's script."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="supervisor")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--work", type=Path, required=True, help="the run's own folder")
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--num-gpus", type=int, default=1)
    parser.add_argument("--num-nodes", type=int, default=1)
    parser.add_argument("--node-launcher", type=json.loads, default=(), help="the platform's command, as JSON")
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--isaaclab-path")
    parser.add_argument("--isaac-version")
    parser.add_argument("--start", type=Path, help="where the checkpoint to start from is")
    parser.add_argument("--mode", default="")
    parser.add_argument("--repeated", action="store_true", help="an earlier attempt of this run saved it")
    return parser.parse_args(arguments[:separator]), arguments[separator + 1 :]


def main(arguments: Sequence[str]) -> int:
    """Run Isaac Lab; return the exit code. Raise SystemExit with a sentence."""
    program_options, script = parse_arguments(arguments)
    folder = program_options.work / SCRATCH_FOLDER
    for new_folder in (folder, program_options.checkpoints):
        new_folder.mkdir(parents=True, exist_ok=True)
    (program_options.work / REPORT_FILE).unlink(missing_ok=True)
    group = node_group.read_group()
    try:
        command = list(make_command(program_options, script, group))
    except OSError as error:
        raise WorkFailed(error) from error
    if program_options.node_launcher:
        words = ("-m", NODE_TRAINING, *arguments)
        options = node_launch.make_starter_arguments(
            program_options.num_nodes, program_options.node_launcher, program_options.work, words, stops_by_file=True
        )
        return TrainingFollower(ChildGroup([sys.executable, *options], folder=folder), program_options).run()
    process = start_script(command, folder, program_options.num_gpus)
    if group and group.rank:  # the lead reports
        follower = GroupFollower(process)
        follower.run()
        return follower.status
    return TrainingFollower(process, program_options).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
