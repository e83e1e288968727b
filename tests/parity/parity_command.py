"""Command lines of the parity tests: the platforms of this repository, and the options that each requires."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WORKSPACE = {"--subscription-id": "sub-1", "--resource-group": "rg-1", "--workspace-name": "ws-1"}
ON: Mapping[str, Mapping[str, str]] = {
    "local": {},
    "osmo": {"--pool": "gpu-pool", "--storage-account": "account1", **WORKSPACE},
    "azureml": {"--compute": "k8s-a", **WORKSPACE},
    "slurm": {"--tracking-uri": "https://mlflow.example"},
}
"""By platform, the options that it asks for, whatever the job. Some features need tracking, which Azure has."""
PLATFORMS = tuple(ON)
DATASET = ("-d", "lerobot/pusht")
"""One that every platform takes, for jobs that are about something else."""
FROM_CHECKPOINT = ("isaac-train", "--checkpoint-mode", "resume")
IN_SIMULATION = ("lerobot-eval", "--policy-repo-id", "me/act", "--env", "libero", "--env-tasks", "libero_object")
"""A job without data that starts from a checkpoint."""
OWN_PROGRAM = ("isaac-train",)
"""A job without data that may run a program of the user's."""
COMPARED = ("lerobot-eval", "--policy-repo-id", "lerobot/act_pusht", "--env", "pusht")
"""A policy that is compared with others."""
BAGS = ("rosbag-act-train",)
"""A training on bags, without its dataset."""
LEAST: Mapping[str, Mapping[str, str]] = {
    "lerobot-train": {"-d": "lerobot/pusht"},
    "lerobot-eval": {"-d": "lerobot/pusht", "--policy-repo-id": "lerobot/act_pusht"},
    "lerobot-merge": {"--policy-repo-id": "lab/act", "--register-checkpoint": "merged"},
    "rosbag-act-train": {"-d": "lerobot/pusht"},
    "command": {},
    "isaac-train": {},
    "isaac-export": {"--checkpoint-uri": "https://account1.blob.core.windows.net/train/set1"},
    "isaac-validate": {"--checkpoint-uri": "https://account1.blob.core.windows.net/train/set1"},
}
"""By workload, the sources of a job that says as little as it can."""
AFTER: Mapping[str, tuple[str, ...]] = {"command": ("/opt/train",)}
"""By workload, what such a job has to say after `--`."""
AFTER_OPTION: Mapping[str, tuple[str, ...]] = {
    "--launcher": ("python", "/opt/train.py"),
    "--num-nodes": ("torchrun", "--node-rank", "{node_rank}", "--master-addr", "{master_addr}", "/opt/train.py"),
}
"""What stands there in place of it beside these options."""
NEEDED: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("osmo", "registered_model"): {"--tracking-uri": "https://mlflow.example"},
    ("slurm", "remote_path"): {"--login": "me@login.lab.example", "--runs-dir": "/runs", "--cache-dir": "/cache"},
}
"""By platform and kind of source, what else has to be said of it."""
FILLED = {
    **{"ACCOUNT": "account1", "CONTAINER": "train", "PREFIX": "set1", "OWNER": "lerobot", "NAME": "pusht"},
    **{"VERSION": "3", "FOLDER": "/data/pusht", "STEP": "005000", "BUCKET": "robots", "URL": "https://mlflow.example"},
}
"""What a person would put in the place of each word that a message has in capitals."""


WANDB_KEY = {"--secret": "WANDB_API_KEY=wandb-key", "--key-vault": "vault-1"}
"""What Azure ML needs beside `--wandb`."""


def platform_words(
    platform: str, needed: Mapping[str, str | None] | None = None, words: Sequence[str] = ()
) -> list[str]:
    """The words that choose a platform. given: further options by their flag, or others in the place of the usual
    ones; a switch has an empty value, and what is left out None. words: those of the job.
    """
    options = {"--platform": platform, **ON[platform], **(needed or {})}
    if platform == "azureml" and "--wandb" in {*options, *words}:
        options = {**options, **WANDB_KEY}
    chosen = {flag: value for flag, value in options.items() if value is not None}
    return [word for flag, value in chosen.items() for word in (flag, value) if word]


def program_words(words: Sequence[str], needed: Mapping[str, str | None] | None = None) -> tuple[str, ...]:
    """What such a line has to say after `--`. given: options in the place of the usual ones."""
    usual = AFTER.get(words[0] if words else "", ())
    return next((after for flag, after in AFTER_OPTION.items() if usual and flag in {*words, *(needed or ())}), usual)


def ways_out(platform: str, words: Sequence[str], problem: Mapping[str, Any], kind: str = "") -> Iterator[list[str]]:
    """The command lines that a refusal offers in place of one, those that are given as options. kind: of the source."""
    for way in problem["instead"]:
        options = re.findall(r"(--[a-z][a-z-]*) (\S+)", way["text"])
        if not options:
            continue
        flag, value = options[-1]
        if other := dict(options).get("--platform"):
            yield [*platform_words(other, NEEDED.get((other, kind))), *words]
        else:
            yield [*platform_words(platform), *_without(words, problem["where"]), flag, _filled(value)]


def _without(words: Sequence[str], flag: str) -> list[str]:
    """Without an option and its value."""
    at = list(words).index(flag)
    return [*words[:at], *words[at + 2 :]]


def _filled(form: str) -> str:
    """A form of a message with everything in it that may be left out left out, and every word filled in."""
    return re.sub(r"[A-Z]{3,}", lambda word: FILLED[word[0]], re.sub(r"\[[^]]*\]", "", form))
