"""`isaac-export` before anything runs: parameters, plans of the platforms, and what a laptop sees of a checkpoint."""

import functools
import hashlib
import http.server
import io
import json
import pathlib
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from local_server import QuietHandler, serve
from robotrain.report import evaluation
from robotrain_runtime.contract.document import parse_document
from robotrain_workloads.isaac_export import container, results_reader

PUBLISHED = ("--publish-url", "https://account1.blob.core.windows.net/train/exports")
PLACES = {"local": (), "osmo": ("--pool", "gpu-pool", "--storage-account", "account1", *PUBLISHED)}
RSL_RL: Mapping[str, object] = {"model_state_dict": {}, "optimizer_state_dict": {}, "iter": 19}
SKRL: Mapping[str, object] = {"policy": {}, "value": {}, "optimizer": {}}
MakeCheckpoint = Callable[..., Path]


@pytest.fixture
def checkpoint(tmp_path: Path) -> MakeCheckpoint:
    """Makes the folder of a checkpoint as PyTorch writes it: an archive with a pickle inside."""

    def make(content: object = RSL_RL, name: str = "model_19.pt", agent: str | None = "policy: {}\n") -> Path:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("model/data.pkl", pickle.dumps(content, protocol=2))
        folder = tmp_path / "run"
        (folder / "params").mkdir(parents=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else buffer.getvalue())
        if agent is not None:
            (folder / "params" / "agent.yaml").write_text(agent)
        return folder

    return make


def render(robotrain: Any, platform: str, *words: object) -> Any:
    return robotrain(
        "render", "isaac-export", "--isaac-version", "2.3", "--platform", platform, *PLACES[platform], "--json", *words
    )


def test_without_steps_of_its_own_the_play_ends_with_its_video(
    robotrain: Any, checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    words = ("--checkpoint-uri", folder := checkpoint(), "--max-steps", "0", "--video-length", "30")
    document = parse_document(render(robotrain, "local", *words).json["files"]["job.json"]["text"])
    (source,) = document.sources
    assert {"--max-steps=30", "--video-length=30"} <= {*container.work(document, {source: folder}, tmp_path).arguments}


def test_a_checkpoint_of_this_machine_that_can_be_exported_is_not_refused(
    robotrain: Any, checkpoint: MakeCheckpoint
) -> None:
    folder = checkpoint(agent=None)
    digest = hashlib.sha256((folder / "model_19.pt").read_bytes()).hexdigest().upper()
    words = ("--checkpoint-uri", folder, "--backend", "rsl_rl", "--sha256", digest)
    answer = render(robotrain, "osmo", *words, "--agent-config", "https://example.org/agent.yaml")
    assert answer.exit_code == 0, answer.stderr
    (folder / "params" / "agent.yaml").write_text("policy: {}\n")
    answer = render(robotrain, "osmo", *words)
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"agent": None}, ()),
        ({"content": pathlib.PurePosixPath("x")}, ()),
        ({"content": b"not a file of PyTorch"}, ()),
        ({}, ("--sha256", "ab" * 32)),
        ({}, ("--backend", "skrl")),
        ({"content": SKRL, "name": "agent_320.pt"}, ("--backend", "rsl_rl")),
    ],
)
def test_a_local_checkpoint_that_cannot_be_exported_is_refused_before_the_queue(
    robotrain: Any, checkpoint: MakeCheckpoint, made: dict[str, Any], words: tuple[str, ...]
) -> None:
    folder = checkpoint(**made)
    line = (
        "render",
        "isaac-export",
        "--isaac-version",
        "2.3",
        "--platform",
        "osmo",
        *PLACES["osmo"],
        "--checkpoint-uri",
        folder,
    )
    robotrain(*line, *words).check_problems(4, "checkpoint-not-exportable")


def test_a_report_shows_each_file_and_leaves_out_what_is_missing() -> None:
    metrics = {"mean_episode_reward": 25.25, "total_episodes": None}
    comparison = {"onnx": {"max_error": 4e-7, "observations": 200}, "jit": None}
    content = {"task": "T", "backend": "skrl", "metrics": {"onnx": metrics}, "comparison": comparison}
    results = results_reader.read_results(json.dumps(content).encode())
    (table,) = results.tables
    assert table.rows == (("policy.onnx", "4e-07", "25.25", "", "", "", ""), ("policy.pt", *[""] * 6))
    assert dict(results.facts)["library"] == "skrl"
    assert results_reader.read_results(b"{}").tables == ()


def test_a_report_shows_the_video_of_each_format(tmp_path: Path) -> None:
    for name in ("onnx_play", "jit_play"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        (tmp_path / "videos" / name / "rl-video-step-0.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    media, _ = evaluation.load_media(tmp_path)
    assert [video.caption for video in media] == ["jit play", "onnx play"]


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A web server with the files of a training, without encryption: `web(files)` returns its address."""
    monkeypatch.setattr(container, "SAFE_SCHEME", "http://")
    with serve(functools.partial(FileHandler, directory=str(tmp_path / "web"))) as address:

        def write_files(files: Mapping[str, str]) -> str:
            for name, text in files.items():
                (tmp_path / "web" / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "web" / name).write_text(text)
            return address

        yield write_files


class FileHandler(QuietHandler, http.server.SimpleHTTPRequestHandler):
    pass


AGENT = {"params/agent.yaml": "policy: {}\n"}
OURS, THEIRS = {"params/robotrain.json": '{"task": "Isaac-Reach"}'}, {"run.json": '{"task": "Isaac-Reach"}'}
BESIDE = {
    # where the checkpoint is, what lies in the folder of its training, and the task that this tells
    "rsl_rl": ("run/model_19.pt", AGENT | OURS, "Isaac-Reach"),
    "skrl, a folder deeper": ("run/checkpoints/agent_320.pt", AGENT | OURS, "Isaac-Reach"),
    "of Isaac Lab 3.0 itself": ("run/model_19.pt", AGENT | THEIRS, "Isaac-Reach"),
    "of another program": ("run/model_19.pt", AGENT, ""),
}


@pytest.mark.parametrize(("name", "files", "task"), BESIDE.values(), ids=BESIDE)
def test_what_lies_beside_a_checkpoint_at_a_web_address_is_downloaded(
    checkpoint: MakeCheckpoint, web: Any, tmp_path: Path, name: str, files: Mapping[str, str], task: str
) -> None:
    source = checkpoint(agent=None) / "model_19.pt"
    address = web({f"run/{path}": text for path, text in files.items()})
    downloaded = container.fetch_checkpoint(source, tmp_path, f"{address}/{name}", "", tmp_path / "to")
    assert downloaded.params is not None
    assert downloaded.params.read_text() == "policy: {}\n"
    assert list(container.find_checkpoint_problems(downloaded, None, None, "2.3")) == []
    assert downloaded.facts.task == task


def test_agent_configuration_may_be_named(checkpoint: MakeCheckpoint, web: Any, tmp_path: Path) -> None:
    source, address = checkpoint(agent=None), web({"other/agent.yaml": "policy: {}\n"})
    (path := tmp_path / "mine.yaml").write_text("policy: {}\n")
    for config in (f"{address}/other/agent.yaml", str(path)):
        downloaded = container.fetch_checkpoint(source, tmp_path, f"{address}/model_19.pt", config, tmp_path / "to")
        assert downloaded.params is not None
        assert downloaded.params.read_text() == "policy: {}\n"
    for config in (f"{address}/none.yaml", "/no/such/agent.yaml"):
        with pytest.raises(OSError, match="--agent-config"):
            container.fetch_checkpoint(source, tmp_path, "", config, tmp_path / "to")
    address = f"{address}/run/model_19.pt"
    nothing_beside = container.fetch_checkpoint(source, tmp_path, address, "", tmp_path / "to")
    (problem,) = container.find_checkpoint_problems(nothing_beside, None, None, "2.3")
    assert problem.suggestions[0].text.endswith("--agent-config URL")
