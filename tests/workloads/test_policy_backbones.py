"""The backbones and tokenizers of a policy are sources of its job, pinned, wherever it runs; code of the Hub is not run
without trust.
"""

import json
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn
from job_documents import PLATFORMS, read_job
from problem_assertions import check_problems

SMOLVLM = "HuggingFaceTB/SmolVLM2-500M-Video-Instruct"
PALIGEMMA = "google/paligemma-3b-pt-224"
CLIP = "openai/clip-vit-base-patch16"
FAST = "lerobot/fast-action-tokenizer"
CAMERA = Path(__file__).parents[2] / "examples/pusht-camera/dataset"
DATA = ("--dataset-repo-id", "lab/pusht")


@pytest.fixture
def hub(monkeypatch, tmp_path, pusht):
    """A Hub with the backbones of three types, a dataset, and two policies that name backbones of their own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubStandIn() as stand_in:
        for name in (SMOLVLM, PALIGEMMA, CLIP, FAST, "lab/vlm", "lab/words", "lab/clip-words"):
            stand_in.repository(name, {"config.json": b"{}", "tokenizer.json": b"{}"})
        files = {file.relative_to(pusht).as_posix(): file.read_bytes() for file in pusht.rglob("*") if file.is_file()}
        stand_in.repository("lab/pusht", files, "dataset")
        settings = {"type": "smolvla", "vlm_model_name": "lab/vlm"}
        steps = {"steps": [{"registry_name": "tokenizer_processor", "config": {"tokenizer_name": "lab/words"}}]}
        described = {"config.json": settings, "policy_preprocessor.json": steps}
        files = {name: json.dumps(content).encode() for name, content in described.items()}
        stand_in.repository("lab/policy", {**files, "model.safetensors": b""})
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        yield stand_in


@pytest.fixture
def render(robotrain, hub):
    """Render a job; return the answer and the backbones of its document, each with its pin."""

    def run(platform, *words):
        answer = robotrain("render", words[0], *PLATFORMS[platform], "--pin", *words[1:], "--json")
        if answer.exit_code:
            return answer, {}
        sources = read_job(answer)["sources"]
        return answer, {
            source["uri"]: source["pin"] for source in sources if source["role"] == "backbone" and source.get("implied")
        }

    return run


def get_commit(hub, name):
    return hub.repositories[f"models/{name}"].branches["main"]


@pytest.mark.parametrize(
    ("policy_type", "name", "platform"),
    [("smolvla", SMOLVLM, "local"), ("pi0", PALIGEMMA, "osmo"), ("multi_task_dit", CLIP, "azureml")],
)
def test_what_a_new_policy_names_is_a_pinned_source_on_every_platform(render, hub, platform, policy_type, name):
    answer, backbones = render(platform, "lerobot-train", *DATA, "--policy-type", policy_type)
    answer.check(0)
    assert backbones == {name: get_commit(hub, name)}


@pytest.mark.parametrize(("workload", "platform"), [("lerobot-train", "osmo"), ("lerobot-eval", "azureml")])
def test_what_the_files_of_a_policy_name_is_a_pinned_source(render, hub, platform, workload):
    words = ("--policy-type", "smolvla") if workload == "lerobot-train" else ()
    answer, backbones = render(platform, workload, *DATA, *words, "--policy-repo-id", "lab/policy")
    answer.check(0)
    assert backbones == {name: get_commit(hub, name) for name in ("lab/vlm", "lab/words")}


def test_act_needs_no_repository(render, hub):
    _, backbones = render("local", "lerobot-train", *DATA)
    assert backbones == {}
    assert "/api/models/" not in " ".join(hub.requests)


def test_option_after_dashes_names_the_backbone(robotrain, hub):
    words = (
        "--policy-type",
        "smolvla",
        *PLATFORMS["local"],
        "--pin",
        "--json",
        "--",
        "--policy.vlm_model_name=lab/vlm",
    )
    text = json.dumps(robotrain("render", "lerobot-train", *DATA, *words).json)
    assert "lab/vlm" in text
    assert SMOLVLM not in text


def test_given_backbone_takes_the_place_of_the_implied_one(render, tmp_path):
    folder = tmp_path / SMOLVLM
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    answer, backbones = render("local", "lerobot-train", *DATA, "--policy-type", "smolvla", "--backbone-path", folder)
    answer.check(0)
    assert backbones == {}


@pytest.mark.parametrize("shut", ["gated", "missing"])
def test_backbone_that_cannot_be_read_is_named_before_submission(robotrain, hub, shut):
    if shut == "gated":
        hub.repositories[f"models/{SMOLVLM}"].shut = "gated"
    else:
        del hub.repositories[f"models/{SMOLVLM}"]
    words = (*DATA, "--policy-type", "smolvla", *PLATFORMS["osmo"], "--dry-run")
    robotrain("submit", "lerobot-train", *words).check_problems(4, "pin-unknown backbone", "data-unusable")


def test_backbone_that_nothing_reads_is_warned_of_before_submission(robotrain, hub):
    words = ("--dataset-path", CAMERA, "--policy-type", "smolvla", *PLATFORMS["osmo"], "--dry-run")
    answer = robotrain("submit", "lerobot-train", *words, "--backbone-repo-id", "lab/words")
    check_problems(answer.stderr, "data-unexpected", "submit-command-missing")


@pytest.mark.parametrize(
    ("words", "is_warned"),
    [
        (("--policy-type", "smolvla"), True),
        (("--policy-type", "smolvla", "--policy-repo-id", "lab/policy"), False),
        (("--policy-type", "multi_task_dit"), False),
    ],
)
def test_new_policy_with_a_random_backbone_is_warned_of(robotrain, hub, words, is_warned):
    submit = ("submit", "lerobot-train", "--dataset-path", CAMERA, *words, *PLATFORMS["osmo"], "--dry-run", "--json")
    answer = robotrain(*submit)
    warnings = [warning for warning in answer.json.get("problems", ()) if "random weights" in warning["title"]]
    assert [warning["severity"] for warning in warnings] == ["warning"] * is_warned
    for warning in warnings:
        assert warning["title"].endswith("-- --policy.load_vlm_weights=true")
        answer = robotrain(*submit, "--", "--policy.load_vlm_weights=true")
        assert "random weights" not in json.dumps(answer.json)


def test_code_of_the_hub_is_refused_without_trust_and_runs_at_the_trusted_commit(robotrain, render, hub):
    words = ("lerobot-train", *DATA, "--policy-type", "pi0_fast")
    answer, _ = render("osmo", *words)
    assert answer.exit_code == 2
    (problem,) = (problem for problem in answer.json["problems"] if problem["severity"] == "error")
    assert problem["code"] == "remote-code-not-trusted"
    assert FAST in problem["title"]
    assert problem["instead"][0]["text"] == f"--trust-remote-code {FAST}@COMMIT"
    trusted = get_commit(hub, FAST)
    hub.repositories[f"models/{FAST}"].commit({"config.json": b"{}", "evil.py": b"", "tokenizer.json": b"{}"})
    assert get_commit(hub, FAST) != trusted
    answer, backbones = render("osmo", *words, "--trust-remote-code", f"{FAST}@{trusted}")
    answer.check(0)
    assert backbones[f"{FAST}@{trusted}"] == trusted
    other = f"{FAST}@{trusted},lab/words@{trusted}"
    untrusted = "remote-code-not-trusted"
    for flag, code in ((f"{FAST}@main", "value-invalid"), (other, untrusted), (f"lab/words@{trusted}", untrusted)):
        answer, _ = render("osmo", *words, "--trust-remote-code", flag)
        assert answer.exit_code == 2
        errors = {problem["code"] for problem in answer.json["problems"] if problem["severity"] == "error"}
        assert errors == {code}
        assert "implied-sources-unknown" not in json.dumps(answer.json)


def test_code_that_the_files_of_a_policy_name_is_refused_with_its_commit(robotrain, hub):
    settings = {"type": "pi0_fast", "action_tokenizer_name": "lab/words"}
    hub.repository("lab/fast", {"config.json": json.dumps(settings).encode(), "model.safetensors": b""})
    words = (*DATA, "--policy-type", "pi0_fast", "--policy-repo-id", "lab/fast", *PLATFORMS["osmo"], "--dry-run")
    answer = robotrain("submit", "lerobot-train", *words, "--json")
    problems = [problem for problem in answer.json["problems"] if "runs Python code" in problem["title"]]
    assert [problem["instead"][0]["text"] for problem in problems] == [
        f"--trust-remote-code lab/words@{get_commit(hub, 'lab/words')}"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy_type", "option", "names"),
    [
        ("multi_task_dit", "--policy.text_encoder_name=lab/clip-words", (CLIP, "lab/clip-words")),
        ("smolvla", "--policy.empty_cameras=1", (SMOLVLM,)),  # which leaves open what the policy reads of the data
    ],
)
def test_evaluation_of_a_pipeline_brings_what_its_training_will_name(robotrain, hub, pusht, policy_type, option, names):
    dataset = pusht.parents[1] / "pusht-camera/dataset"
    words = ("pipeline", "train-eval", *PLATFORMS["local"], "--dataset-path", dataset, "--policy-type", policy_type)
    answer = robotrain(*words, "--dry-run", "--json", "--", option)
    answer.check(0)
    plan = json.loads(answer.json["files"]["pipeline.json"]["text"])
    expected = {name: get_commit(hub, name) for name in names}
    for step in plan["steps"]:
        assert {source["uri"]: source["pin"] for source in step["sources"] if source["role"] == "backbone"} == expected


def test_saved_job_leaves_trust_to_the_command(robotrain, hub, tmp_path):
    words = ("render", *PLATFORMS["local"])
    trust = ("--trust-remote-code", f"{FAST}@{get_commit(hub, FAST)}")
    robotrain(*words, "lerobot-train", *DATA, "--policy-type", "pi0_fast", *trust, "--save-as", "job.yaml").check(0)
    text = Path("job.yaml").read_text()
    assert " ".join(trust) in text.splitlines()[1]
    assert "trust_remote_code" not in text
    assert robotrain(*words, "job.yaml").exit_code == 2
    robotrain(*words, "job.yaml", *trust).check(0)
    Path("job.yaml").write_text(f"{text}  trust_remote_code: {trust[1]}\n")
    robotrain(*words, "job.yaml").check_problems(2, "setting-not-trusted", "remote-code-not-trusted")
