"""docs/slurm.md: its commands render, and it lists every setting."""

import re
from pathlib import Path

import pytest
import tomllib
from planned_jobs import evaluation, job
from platform_document import DocumentTests, PlatformDocument
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import options

PLACES = {"PARTITION": "batch", "ACCOUNT": "robots", "USER": "me", "RUN": "arm"}
DOCUMENT = PlatformDocument("slurm", PLACES)
SUBMITS = [line for line in DOCUMENT.commands if line.startswith("robotrain submit") and "--login" not in line]
"""Those for a login node need one: it knows its home folder."""


class TestDocument(DocumentTests):
    document = DOCUMENT


@pytest.mark.parametrize("line", SUBMITS)
def test_every_submit_of_the_document_renders(line, robotrain):
    words = [word for word in DOCUMENT.typed(line) if word not in ("--wait", "--assets-only")]
    answer = robotrain("render", *words[1:])
    assert answer.exit_code == 0, answer.stderr
    assert "#SBATCH --time=" in answer.stdout


def test_first_settings_are_settings(robotrain):
    text = DOCUMENT.first_settings()
    for name, value in PLACES.items():
        text = text.replace(name, value)
    assert tomllib.loads(text)["platform"] == "slurm"
    Path("robotrain.toml").write_text(text)
    answer = robotrain("render", "-d", "lerobot/pusht")
    assert answer.exit_code == 0, answer.stderr
    assert "#SBATCH --partition=batch\n#SBATCH --account=robots\n" in answer.stdout
    assert "#SBATCH --chdir=/scratch/me/robotrain-runs/" in answer.stdout


def test_defaults_of_the_table_are_those_of_the_workloads():
    table = DOCUMENT.part("## What a job gets")
    for flag, name in {"--time": "time", "--cpus": "cpus", "--memory": "memory"}.items():
        row = next(line for line in table.splitlines() if line.startswith(f"| `{flag}`")).split("|")
        for cell, of in ((row[2], job()), (row[3], evaluation())):
            value = options.derive_defaults(of, SlurmSettings())[name].value.removesuffix("i")
            assert f"`{value}`" in cell


def test_codes_and_flags_of_the_troubleshooting_exist():
    package = Path(__file__).parents[2] / "plugins/slurm/robotrain_slurm"
    texts = [file.read_text() for ending in ("py", "toml") for file in package.rglob(f"*.{ending}")]
    codes = set(re.findall(r"`(slurm-[a-z-]+)`", DOCUMENT.text))
    assert [code for code in codes if not re.search(rf'["[]{code}[]".]', "\n".join(texts))] == []
