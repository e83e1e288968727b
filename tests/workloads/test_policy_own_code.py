"""A policy of the Hub whose files make LeRobot run code of any kind needs the user's trust."""

import json

import pytest
from job_documents import CONTAINERS, check_findings, evaluation, format_finding
from robotrain_runtime.contract.document import JobSource

COMMIT = "d" * 40
REPOSITORY = JobSource(role="policy", kind="huggingface", uri="lab/policy", pin=COMMIT)


@pytest.fixture
def find_code(training, pusht, policy):
    """Why a policy may run any code: `find_code(step={"class": "os.system"}, type="pi0_fast")`."""

    def find(step=None, source=REPOSITORY, args=(), trusted=None, file="policy_preprocessor.json", **settings):
        folder = policy(**settings)
        if step:
            (folder / file).write_text(json.dumps({"steps": [step]}))
        document = training(pusht, args, starts={"policy": source}, trust_remote_code=trusted)
        data, container = {source: folder}, CONTAINERS["lerobot-train"]
        findings = [
            finding
            for finding in map(format_finding, container.compare(document, data))
            if "any Python code" in finding
        ]
        assert set(findings) <= set(map(format_finding, container.inspect(document, data)))
        return findings

    return find


@pytest.mark.parametrize("file", ["policy_preprocessor.json", "policy_postprocessor.json"])
def test_a_step_of_a_class_that_is_not_lerobots_needs_trust(find_code, file):
    check_findings(find_code({"class": "subprocess.Popen", "config": {"args": ["touch", "x"]}}, file=file), fact=file)


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        ({"registry_name": "action_tokenizer_processor", "config": {"action_tokenizer_name": "../data"}}, {}),
        ({"registry_name": "tokenizer_processor", "config": {"tokenizer_name": "/data/words"}}, {}),
        (None, {"type": "pi0_fast", "action_tokenizer_name": "./data/policy"}),
    ],
)
def test_a_folder_in_place_of_a_repository_needs_trust(find_code, step, settings):
    check_findings(find_code(step, **settings))


@pytest.mark.parametrize(
    "parameters",
    [
        {"step": {"class": "lerobot.processor.RenameObservationsProcessorStep", "config": {"rename_map": {}}}},
        {"step": {"registry_name": "tokenizer_processor", "config": {"tokenizer_name": "lab/words"}}},
        {"step": {"class": "subprocess.Popen"}, "trusted": f"lab/policy@{COMMIT}"},
        {"step": {"class": "mine.Step"}, "source": JobSource(role="policy", kind="local_path", uri="/mine")},
        {
            "type": "pi0_fast",
            "action_tokenizer_name": "./fast",
            "args": ("--policy.action_tokenizer_name=lab/fast",),
        },
        {"type": "smolvla", "vlm_model_name": "/data/vlm"},
    ],
)
def test_what_runs_no_code_of_others_needs_no_trust(find_code, parameters):
    assert find_code(**parameters) == []


def test_an_evaluation_needs_the_same_trust(policy, tmp_path):
    folder = policy()
    (folder / "policy_preprocessor.json").write_text(json.dumps({"steps": [{"class": "os.system"}]}))
    document = evaluation(tmp_path / "work", policy=JobSource(role="policy", kind="huggingface", uri="lab/policy"))
    findings = list(map(format_finding, CONTAINERS["lerobot-eval"].compare(document, {document.sources[0]: folder})))
    check_findings(
        [finding for finding in findings if "any Python code" in finding], fact="--trust-remote-code lab/policy@"
    )
