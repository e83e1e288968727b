"""`isaac-smoke-test`: a line for each check, and exit code 5 on the first fault."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain_workloads.isaac import installation
from robotrain_workloads.isaac_smoke_test import container

TERMS = {"ACCEPT_EULA": "Y", "PRIVACY_CONSENT": "Y", "OMNI_KIT_ACCEPT_EULA": "YES"}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Isaac Lab whose Python answers with given versions: rsl-rl-lib 3.1.2, and an skrl that trains nothing."""
    versions = {"rsl-rl-lib": "3.1.2", "skrl": "1.4.1", "torch": "2.7.0"}
    answer = "::isaac-probe:: " + json.dumps({"versions": versions, "checkpoint": {}})
    (tmp_path / "isaaclab.sh").write_text(f"echo '{answer}'\n")
    (tmp_path / "VERSION").write_text("2.3.2\n")
    for name, value in {"ISAACLAB_PATH": str(tmp_path), "MLFLOW_TRACKING_URI": "", **TERMS}.items():
        monkeypatch.setenv(name, value)
    installation.probe.cache_clear()
    return tmp_path


def test_each_check_prints_one_line(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    container.main(["--min-gpus=0", "--backend=rsl_rl"])
    lines = [json.loads(line.partition(" ")[2])["text"] for line in capsys.readouterr().out.splitlines()]
    assert [line.partition(":")[0] for line in lines] == ["versions", "GPU", "EULA", "identity", "tracking"]
    assert lines[0] == "versions: Isaac Lab 2.3.2, rsl-rl-lib 3.1.2, skrl 1.4.1, torch 2.7.0"


@pytest.mark.parametrize(
    ("words", "environ", "fault"),
    [
        (("--backend=skrl",), {}, "versions: Isaac Lab 2.3 needs skrl 1.4.2 or newer"),
        (("--min-gpus=2",), {"gpus": "NVIDIA A100, 570.1, 81920 MiB"}, "GPU: 1 GPU, but 2 needed"),
        (("--min-gpus=1",), {}, "GPU: nvidia-smi was not found"),
        (("--min-gpus=0",), {"ACCEPT_EULA": "N"}, "EULA: NVIDIA's terms are not accepted: ACCEPT_EULA not set"),
    ],
)
def test_the_first_check_that_fails_ends_the_others(
    lab: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], environ: dict[str, str], fault: str
) -> None:
    programs = lab / "bin"
    programs.mkdir()
    for program in ("bash", "echo"):
        (programs / program).symlink_to(f"/bin/{program}")
    if "gpus" in environ:
        (programs / "nvidia-smi").write_text(f"#!/bin/bash\necho '{environ['gpus']}'\n")
        (programs / "nvidia-smi").chmod(0o755)
    for name, value in {**environ, "PATH": str(programs)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        container.main(words)
    assert fault in str(ended.value)


@pytest.mark.slow
def test_a_fault_is_exit_code_5(lab: Path, tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("ROBOTRAIN_")}
    command = [sys.executable, "-m", "robotrain", "submit", "isaac-smoke-test", "--platform", "local", "--wait"]
    own |= {"ROBOTRAIN_STATE": str(tmp_path / "state"), "ISAACLAB_PATH": str(lab)}
    words = ("--backend", "skrl", "--tracking-uri", "none")
    ended = subprocess.run([*command, *words], env=own, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 5, ended.stderr
    assert "versions: Isaac Lab 2.3 needs skrl 1.4.2 or newer" in ended.stderr
