"""Whether what a run leaves outlives its disk: one question for every workload, where a platform deletes the disk."""

import re

import pytest
from parity_command import platform_words

BLOB = "https://account1.blob.core.windows.net/train/runs"
MERGE = ("lerobot-merge", "--policy-repo-id", "lab/act")
TRAIN = ("lerobot-train", "-d", "lerobot/pusht")


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        (MERGE, "error"),
        ((*MERGE, "-r", "merged"), None),
        ((*MERGE, "--publish-url", BLOB), None),
        (TRAIN, "warning"),
        ((*TRAIN, "-r", "act"), "note"),
        ((*TRAIN, "--publish-url", "none"), None),
        (("command", "--", "train", "{outputs}"), "warning"),
        (("command", "--publish-url", "none", "--", "nvidia-smi"), None),
    ],
)
def test_a_loss_is_an_error_where_the_outputs_are_all_that_a_job_makes(robotrain, words, severity):
    answer = robotrain("render", words[0], *platform_words("osmo"), *words[1:])
    severities = re.findall(r"^(\w+): .*\[nothing-kept\]", answer.stderr, re.MULTILINE)
    assert severities == ([severity] if severity else [])


UPLOAD = ("--output-mode", "upload")


@pytest.mark.parametrize(
    ("more", "is_noted"), [(UPLOAD, True), ((*UPLOAD, "--publish-url", "none"), False), ((), False)]
)
def test_a_loss_by_preemption_is_noted_unless_nothing_is_to_be_kept(robotrain, more, is_noted):
    words = ("render", *platform_words("azureml"), "--compute-kind", "kubernetes", *TRAIN[1:], *more)
    assert ("nothing-kept" in robotrain(*words).stderr) is is_noted


@pytest.mark.parametrize(
    ("platform", "words", "warns"),
    [
        ("slurm", ("--", "python", "-m", "train"), True),
        ("local", ("--", "python", "-m", "train"), False),
        ("slurm", ("--", "python", "train.py"), False),  # there is none
        ("slurm", ("--publish-url", "none", "--", "nvidia-smi"), False),
        ("slurm", ("--checkpoints", "saved/{step}", "--", "train"), False),
        ("slurm", ("--", "train", "--out={outputs}"), False),
        ("slurm", ("--param", "out={outputs}", "--", "train", "{out}"), False),
        ("slurm", ("--shell", "--", "train > $ROBOTRAIN_OUTPUTS/log"), False),
    ],
)
def test_a_program_that_is_told_of_no_folder_keeps_nothing_elsewhere(robotrain, platform, words, warns):
    answer = robotrain("render", "command", *platform_words(platform), *words)
    assert ("command-keeps-nothing" in answer.stderr) is warns
