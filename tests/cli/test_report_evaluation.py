"""`robotrain report` of an evaluation: scores, every episode, plots and videos on one page, wherever it ran."""

import json
import os

import pytest
from fake_engine import set_run_state
from parsed_page import Page, read_page
from robotrain.report import evaluation
from robotrain.store import records
from robotrain_runtime.contract import document_limits, event
from robotrain_runtime.contract.event import Checkpoint, Delivered, Evaluated, Metrics
from snapshots import check_snapshot

NAME = "eval_results.json"

SCORES = {"rollout/success_rate": 0.5, "rollout/success_rate_low": 0.1, "rollout/success_rate_high": 0.9}
FOUND = SCORES | {"rollout/episodes": 2, "replay/mse": 0.41}
EVALUATED = Evaluated(episodes=3, scores=FOUND, results="/work/eval_results", conditions="easy")
RESULTS = {
    "policy_repo_id": "lerobot/act_pusht",
    "policy_type": "act",
    "held_out": True,
    "aggregate_throughput_hz": 512.0,
    "per_episode": [{"episode": 7, "steps": 161, "mse": 0.3141, "mae": 0.5, "avg_inference_ms": 1.4}],
    "per_joint": [{"name": "shoulder", "mse": 0.4, "mae": 0.6543, "max_error": 3.0}],
    "latency_ms": {"p50": 1.3, "p95": 1.9},
    "rollout": {
        "env": "pusht",
        "avg_length": 143.0,
        "per_episode": [
            {"index": 0, "seed": 1000, "success": True, "max_reward": 0.9876, "video": "videos/episode_000.mp4"},
            {"index": 1, "seed": 1001, "success": False, "max_reward": 0.25},
        ],
    },
}
PNG, MP4 = b"\x89PNG\r\n\x1a\n" + b"p" * 40, b"\0\0\0\x18ftypisom" + b"v" * 40
FILES = {
    "plots/aggregate_summary.png": PNG,
    "plots/episode_007/summary_panel.png": PNG,
    "plots/episode_007/action_deltas.png": PNG,
    "videos/all.mp4": MP4,
    "videos/episode_000.mp4": MP4,
}


def write_results(folder, said=RESULTS, files=FILES):
    for name, content in {**files, NAME: said if isinstance(said, bytes) else json.dumps(said)}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture
def record_evaluation(scripted):
    """Create an evaluation whose results only its platform can read: `record_evaluation()` returns the run."""

    def make(said=RESULTS, files=FILES, result=EVALUATED, name="eval-1", **output):
        values = {"rollout_ep1_success": 0.0, "rollout/success_rate": 0.5, "replay/mse": 0.41}
        episodes = [Metrics(step=2, total=2, unit="episode", values=values)]
        run = scripted.run(
            name, *episodes, result, Delivered(to="runs:/r"), state="succeeded", started=1e9, ended=1e9 + 9
        )
        run.add_output("eval_results", kind="file", source="far", **output)
        (run.folder / "left/eval_results").unlink()
        write_results(run.folder / "left/eval_results", said, files)
        return run

    return make


def test_the_page_contains_the_whole_evaluation(robotrain, record_evaluation):
    record_evaluation()
    page = read_page(robotrain, "eval-1")
    for text in ("50%", "1 of 2; 95% interval 10-90%", "0.41", "1.9 ms", "lerobot/act_pusht", "143", "512"):
        assert text in page.texts
    for text in (
        "0.9876",
        "1001",
        "failure",
        "0.3141",
        "shoulder",
        "0.6543, at most 3",
        "held out from training",
        "ms/action is",
        "red cross",
    ):
        assert text in page.text
    assert sorted(page.embedded) == ["data:image/png"] * 3 + ["data:video/mp4"] * 2
    assert page.addresses == []
    assert "runs:/r" in page.text
    assert "replay/mse" not in page.texts, "a score is shown once"
    assert page.count["svg"] == 2, "the success rate and an action dimension; a single value has no chart"
    assert [page.texts.count(word) for word in ("episode 0", "success", "failure")] == [1, 2, 2], "a card, and a row"
    assert "loss" not in page.text.lower()
    assert "checkpoint" not in page.text


def test_local_results_are_not_downloaded(robotrain, record_evaluation, scripted, tmp_path):
    folder = write_results(tmp_path / "eval_results", RESULTS | {"policy_type": "diffusion"})
    scripted.run("eval-2", EVALUATED, state="succeeded").add_output(
        "outputs/eval_results", kind="file", uri=str(folder)
    )
    assert "diffusion" in read_page(robotrain, "eval-2").texts


def test_without_results_the_page_shows_the_log_and_the_reason(robotrain, record_evaluation, scripted):
    scripted.run("eval-2", EVALUATED, state="succeeded")
    record_evaluation(name="eval-3").set_flag("tears")
    record_evaluation(name="eval-4", size=3_000_000_000)
    for name, reason in (("eval-2", "no output"), ("eval-3", "the line to scripted broke"), ("eval-4", "3.0 GB")):
        page = read_page(robotrain, name)
        assert "50%" in page.texts
        assert (reason in page.sentences, "the page shows what the log contains" in page.sentences) == (True, True)


def test_files_too_large_for_the_page_are_listed_with_their_location(
    robotrain, record_evaluation, scripted, tmp_path, monkeypatch
):
    monkeypatch.setattr(evaluation, "MAX_MEDIA_BYTES", 110)
    record_evaluation()
    page = read_page(robotrain, "eval-1")
    assert len(page.embedded) == 2
    assert "robotrain outputs --to FOLDER eval-1" in page.text
    folder = write_results(tmp_path / "eval_results")
    scripted.run("eval-2", EVALUATED, state="succeeded").add_output(
        "outputs/eval_results", kind="file", uri=str(folder)
    )
    links = read_page(robotrain, "eval-2").addresses
    assert (folder / "videos/episode_000.mp4").as_uri() in links


def test_results_are_escaped_and_redacted(robotrain, record_evaluation):
    bad = "<i>token=hf_abcdefghijklmnopqrstuvwxyz0123456789</i>"
    values = {
        **{name: bad for name in ("policy_repo_id", "policy_type", "dataset_repo_id", "device")},
        "per_joint": [{"name": bad, "mae": 0.5}],
        "policy": {"sha256": bad},
        "rollout": {"env": bad, "per_episode": [{"index": bad, "video": bad, "success": bad, "seed": bad}]},
    }
    result = Evaluated(episodes=1, scores={bad: 0.5}, results=f"/work/{bad}/eval_results", policy=bad)
    record_evaluation(values, result=result)
    text = robotrain("report", "eval-1", "--to", "-").stdout
    assert "i" not in Page(text).count
    assert "hf_abc" not in text


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[1]",
        b'{"aggregate_mse": NaN}',
        b"[" * 100_000,
        b'{"aggregate_mse": ' + b"9" * 5000 + b"}",
        b"{}" + b" " * document_limits.MAX_RUN_FILE_BYTES,
        b'{"rollout": 3}',
        b'{"latency_ms": {"p95": "fast"}}',
    ],
    ids=["torn", "no object", "no number", "deep", "large number", "large file", "no rollout", "no time"],
)
def test_an_invalid_results_file_is_reported_and_plots_are_shown(robotrain, record_evaluation, content):
    record_evaluation(content)
    page = read_page(robotrain, "eval-1")
    assert len(page.embedded) == 5
    assert "eval_results.json cannot be read" in page.sentences


def test_only_plots_and_videos_are_embedded(robotrain, record_evaluation, tmp_path):
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/summary_panel.png").write_bytes(PNG)
    run = record_evaluation(
        files={"plots/aggregate_summary.png": b"<script>", "videos/episode_000.mp4": b"<script>" * 9}
    )
    plots = run.folder / "left/eval_results/plots"
    os.symlink(tmp_path / "secret", plots / "episode_000")
    (plots / "episode_001").mkdir()
    os.symlink(tmp_path / "secret.png", plots / "episode_001/summary_panel.png")
    os.mkfifo(run.folder / "left/eval_results/videos/all.mp4")
    media, left = evaluation.load_media(run.folder / "left/eval_results")
    assert (media, left) == ([], [])


def test_a_missed_threshold_is_reported(robotrain, record_evaluation):
    record_evaluation(result=Evaluated(episodes=2, scores=SCORES, results="/work/eval_results", passed=False))
    check_snapshot("cli/snapshots/report-evaluation.txt", read_page(robotrain, "eval-1").sentences)


def test_the_evaluated_policy_becomes_a_version_with_its_scores(robotrain, fake_platform, pusht, tmp_path):
    (tmp_path / "config.json").write_text('{"type": "act"}')
    (tmp_path / "model.safetensors").touch()
    words = ("--platform", "fake", "--policy-path", tmp_path, "--dataset-path", pusht, "--register-model", "pusht-act")
    run = robotrain("submit", "lerobot-eval", *words).stdout.strip()
    (fake_platform / f"{run}.json").write_text(
        json.dumps({"state": "succeeded", "log": [event.format_event(EVALUATED)]})
    )
    assert "models:/pusht-act/1" in robotrain("register", run).stdout
    assert robotrain("register", run, "other", "--json").json["scores"]["replay/mse"] == 0.41


def test_a_record_and_its_resubmission_have_the_outputs_of_the_workload(robotrain, fake_platform, pusht, tmp_path):
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "config.json").write_text('{"type": "act"}')
    (policy / "model.safetensors").touch()
    words = ("--platform", "fake", "--policy-path", policy, "--dataset-path", pusht)
    run = robotrain("submit", "lerobot-eval", *words).stdout.strip()
    set_run_state(fake_platform, run, "failed", log=[])
    again = robotrain("resubmit", run).stdout.strip()
    assert [records.read_record(run_name).makes for run_name in (run, again)] == ["results", "results"]


def test_all_episodes_are_on_the_page(robotrain, record_evaluation):
    record_evaluation({"rollout": {"per_episode": [{"index": at, "seed": 5000 + at} for at in range(70)]}})
    page = read_page(robotrain, "eval-1")
    assert "20 more" in page.texts
    assert "5069" in page.texts


def store_policy_plan(run, uri):
    """Store a plan with that policy for a run."""
    place = records.get_run_folder(run) / "plan"
    place.mkdir()
    source = {"role": "policy", "kind": "local_path", "uri": uri, "pin": ""}
    (place / "robotrain-plan.json").write_text(json.dumps({"job": {"sources": [source]}}))


def test_a_training_run_links_to_its_evaluations(robotrain, record_evaluation, scripted, tmp_path):
    train = scripted.run("train-1", Checkpoint(step=400, path="/work/checkpoints/000400"), state="succeeded")
    train.add_output("checkpoints/000400", uri="/far/checkpoints/000400", step=400)
    for name, uri in (
        ("eval-1", "/far/checkpoints/000400/pretrained_model"),
        ("eval-2", "https://lab/runs/train-1/000400"),
        ("eval-3", "/far/checkpoints/0004000"),
    ):
        record_evaluation(name=name)
        store_policy_plan(name, uri)
    for name in ("eval-1", "train-1"):
        robotrain("report", name, "--to", f"{tmp_path}/pages/")
    page = Page((tmp_path / "pages/train-1.html").read_text())
    assert page.addresses == ["eval-1.html"]
    robotrain("rename", "eval-1", "first-eval")
    for name in ("eval-1", "train-1"):
        robotrain("report", name, "--to", f"{tmp_path}/named/")
    assert Page((tmp_path / "named/train-1.html").read_text()).addresses == ["first-eval.html"]
    assert "eval-2" in page.texts
    assert "eval-3" not in page.text
    assert "success 1 of 2, 50% (10-90%)" in page.text
    assert "conditions: easy" in page.texts
