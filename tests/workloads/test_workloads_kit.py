"""The workloads of this repository pass the kit for third-party workloads."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from hub_stand_in import HubStandIn
from recorded_bags import Recording
from robotrain.testing import WorkloadKit
from small_training import SMALL

PUSHT = Path(__file__).parents[2] / "examples/pusht-mini/dataset"
ROLLED = ("--dataset-path", str(PUSHT), "--builtin-policy", "--env", "pusht", "--env-steps", "9")
EVALUATED = ("--eval-episodes", "2", "--env-workers", "0", "--device", "cpu", "--replay-episodes", "0-1")
QUICK = ("--training-steps", "4", "--batch-size", "2", "--num-workers", "0", "--device", "cpu", "--log-freq", "2")


BAGS = (
    *("--environment-state-topic", "/action", "--action-topic", "/action", "--fps", "10"),
    *("--image-topics", "none", "--num-workers", "0", "--batch-size", "4", "--device", "cpu"),
    *("--training-steps", "4", "--save-freq", "2", "--log-freq", "2", "--", *SMALL["act"]),
)
LOCKED_ONLY = {"allow_builds": "it decides what is locked, before the job is sent"}


class TestLerobotTrain(WorkloadKit):
    workload = "lerobot-train"
    job = ("--dataset-path", str(PUSHT))
    changed: ClassVar = {
        **{"rename": "observation.image=observation.images.camera1", "statistics": "computed"},
        **{"units": "/joint_states=deg", "image_size": "48x64"},
    }
    unchanged: ClassVar = {
        "convert_v21": "what was recorded in the newest format is not converted",
        "bags": "it decides that the job carries what converts bags, which says what is done",
        **LOCKED_ONLY,
    }
    tells = ("metrics", "checkpoint")

    @pytest.fixture(params=[pytest.param(QUICK, marks=pytest.mark.slow)])
    def runs(self, request) -> Sequence[str]:
        return (*self.job, *request.param, "--", *SMALL["act"])


class TestLerobotEval(WorkloadKit):
    workload = "lerobot-eval"
    job = ROLLED
    changed: ClassVar = {
        **{"replay_episodes": "0", "starts": "easy", "env": "aloha", "builtin_policy": "false"},
        **{"rename": "observation.image=observation.images.camera1", "confidence": "0.9", "confirm": "10"},
        **{"equal_within": "0.3", "margin": "0.3"},
    }
    unchanged: ClassVar = {
        "convert_v21": "what was recorded in the newest format is not converted",
        "keep_policy": "an untrained policy is made anew by every run, and never kept",
        **LOCKED_ONLY,
    }
    tells = ("metrics", "evaluated")

    @pytest.fixture(params=[pytest.param(EVALUATED, marks=pytest.mark.slow)])
    def runs(self, request) -> Sequence[str]:
        return (*self.job, *request.param, "--", *SMALL["act"])


class TestLerobotMerge(WorkloadKit):
    workload = "lerobot-merge"
    job = ("--policy-path", str(PUSHT))
    unchanged: ClassVar = LOCKED_ONLY
    tells = ("checkpoint",)


ONLY_JUDGED = {
    **LOCKED_ONLY,
    "packages": "what is locked of them is added to the environment",
    "accept_eula": "without Isaac Sim there are no terms",
    "pass_unknown": "it changes which options after -- are refused",
}


PROGRAM = ("--", "bash", "-c", "echo loss=0.5; mkdir -p $ROBOTRAIN_OUTPUTS/1; echo a >$ROBOTRAIN_OUTPUTS/1/model")


class TestCommand(WorkloadKit):
    workload = "command"
    job = ("--checkpoints", "{step}", *PROGRAM)
    changed: ClassVar = {"checkpoint_complete": "rename", "checkpoints": "saved/{step}"}
    tells = ("metrics", "checkpoint")

    @pytest.fixture(params=[pytest.param(("--metric", "loss=loss=([0-9.]+)"), marks=pytest.mark.slow)])
    def runs(self, request, supervision_environment) -> Sequence[str]:
        return (*request.param, *self.job)


class TestIsaacTrain(WorkloadKit):
    workload = "isaac-train"
    job = ()
    changed: ClassVar = {"checkpoint_mode": "resume", "sha256": "a" * 64}
    unchanged: ClassVar = {**ONLY_JUDGED, "allow_secret_file": "it changes which files of the code are refused"}
    tells = ("metrics", "checkpoint")


class TestIsaacValidate(WorkloadKit):
    workload = "isaac-validate"
    job = ("--checkpoint-uri", str(PUSHT), "--record-video")
    changed: ClassVar = {"sha256": "a" * 64, "record_video": "false"}
    unchanged: ClassVar = ONLY_JUDGED
    tells = ("metrics", "evaluated")


class TestIsaacExport(WorkloadKit):
    workload = "isaac-export"
    job = ("--checkpoint-uri", "/data/run")
    changed: ClassVar = {"sha256": "ab" * 32, "agent_config": "/data/agent.yaml"}
    unchanged: ClassVar = ONLY_JUDGED
    tells = ("metrics", "evaluated")


class TestRosbagActTrain(WorkloadKit):
    workload = "rosbag-act-train"
    job = ("--dataset-path", str(PUSHT), "--image-topics", "/camera/top=top")
    changed: ClassVar = {**TestLerobotTrain.changed, "action_topic": "none"}
    unchanged: ClassVar = LOCKED_ONLY
    tells = ("metrics", "checkpoint")

    @pytest.fixture(params=[pytest.param(BAGS, marks=pytest.mark.slow)])
    def runs(self, request, tmp_path, monkeypatch) -> Iterator[Sequence[str]]:
        """The bags are a dataset repository of a Hub on this machine."""
        files = {}
        for number in range(2):
            folder = Recording(steps=20).write(tmp_path / f"ep{number}", "mcap" if number else "sqlite3")
            files |= {f"{folder.name}/{path.name}": path.read_bytes() for path in folder.iterdir()}
        with HubStandIn() as hub:
            hub.repository("mine/bags", files, kind="dataset")
            monkeypatch.setenv("HF_ENDPOINT", hub.address)
            yield ("--dataset-repo-id", "mine/bags", *request.param)
