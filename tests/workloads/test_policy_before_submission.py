"""A policy that does not fit the environment or the dataset is named before anything is sent, wherever the job runs."""

import json
from pathlib import Path

import job_documents
import pytest
from azure_stand_in.http_server import Fault
from hub_stand_in import HubStandIn
from job_documents import PLATFORMS, check_findings
from problem_assertions import check_problems
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.start import Start
from robotrain_workloads.lerobot.start_check import find_option_mismatches

ROOT = Path(__file__).parents[2]
HERE, CLOUD = ((*PLATFORMS[platform], "--dry-run") for platform in ("local", "osmo"))
JOINTS = {"observation.state": {"type": "STATE", "shape": [6]}}
WIDE = {"action": {"type": "ACTION", "shape": [6]}}
STATE = {"observation.state": {"type": "STATE", "shape": [2]}}
STATE_FEATURE = {"dtype": "float32", "shape": [2]}
NARROW = {"action": {"type": "ACTION", "shape": [2]}}


NO_OSMO = ("submit-command-missing",)
"""What else a dry run finds on a machine without the cluster's command."""


@pytest.mark.parametrize(
    ("platform", "option", "code"),
    [
        ("local", "--peft.r=16", "script-option-invalid"),
        ("osmo", '--rename_map={"observation.state": "observation.image"}', "option-owned"),
        ("azureml", "--use_policy_training_preset=false", "script-option-invalid"),
        *((platform, "--dataset.episodes=[9999]", "data-unusable") for platform in PLATFORMS),
    ],
)
def test_a_line_that_lerobot_refuses_is_refused_on_each_platform(robotrain, platform, option, code):
    words = ("--checker", "none", "--dataset-path", ROOT / "examples/pusht-mini/dataset", "--", option)
    answer = robotrain("submit", "lerobot-train", *PLATFORMS[platform], "--dry-run", *words)
    answer.check_problems(4 if code == "data-unusable" else 2, code)


@pytest.fixture
def find_problems(robotrain):
    """The problems of inputs that a dry run on a cluster finds, with what to do; no service answers here."""

    def find(*words):
        answer = robotrain("submit", *words, *CLOUD, "--json")
        problems = [problem for problem in answer.json["problems"] if problem["code"] == "data-unusable"]
        return ["\n".join([problem["title"], *(way["text"] for way in problem["instead"])]) for problem in problems]

    return find


def test_a_policy_folder_is_compared_with_the_environment(find_problems, policy):
    arm = policy("arm", input_features=JOINTS, output_features=WIDE)
    check_findings(find_problems("lerobot-eval", "--policy-path", arm, "--env", "pusht"), 2, "2 values in pusht, but 6")
    fitting = policy("fits", input_features=STATE, output_features=NARROW)
    assert find_problems("lerobot-eval", "--policy-path", fitting, "--env", "pusht") == []


def test_a_policy_folder_is_compared_with_the_dataset_that_it_is_evaluated_or_trained_on(find_problems, policy, pusht):
    arm = policy("arm", input_features=JOINTS, output_features=WIDE)
    for workload in ("lerobot-eval", "lerobot-train"):
        problems = find_problems(workload, "--policy-path", arm, "--dataset-path", pusht)
        check_findings(problems, 2, "action has 2 values in the dataset, but 6")
    fitting = policy("fits", input_features=STATE, output_features=NARROW)
    assert find_problems("lerobot-train", "--policy-path", fitting, "--dataset-path", pusht) == []


def test_datasets_alone_are_compared_with_the_type_to_train(robotrain, pusht):
    words = ("submit", "lerobot-train", "--dataset-path", pusht, *HERE)
    robotrain(*words, "--policy-type", "vqbet").check_problems(4, "data-unusable")
    assert "[data-unusable]" not in robotrain(*words, "--policy-type", "act").stderr


def test_a_list_that_the_weights_need_is_one_word():
    place = {"work": "/work", "cache": "/cache"}
    start = Start(mode="policy", settings={"type": "diffusion", "down_dims": [32, 64]})
    job = LerobotJob(job_documents.training(Path("data"), place, ["--policy.down_dims=[64,128]"]), start=start)
    check_findings(find_option_mismatches(job), fact="-- '--policy.down_dims=[32, 64]'")


NETWORK = {"chunk_size": 16, "dim_model": 32, "use_vae": False, "vision_backbone": "resnet18", "n_action_steps": 4}


@pytest.mark.parametrize(
    ("platform", "options", "is_wrong"),
    [
        (CLOUD, ("--policy.chunk_size=32",), True),
        (HERE, ("--policy.dim_model", "64"), True),
        # LeRobot starts this part, which only training uses, from new weights
        (CLOUD, ("--policy.use_vae", "true"), False),
        # LeRobot trains new parts of the network with random weights
        (HERE, ("--policy.vision_backbone=resnet34",), False),
        (CLOUD, ("--policy.chunk_size=16", "--policy.use_vae=False", "--policy.vision_backbone=resnet18"), False),
        (HERE, ("--policy.n_action_steps=8", "--policy.dropout=0.1"), False),
    ],
    ids=str,
)
def test_options_of_a_fine_tune_are_compared_with_the_network_of_its_policy(
    robotrain, policy, pusht, platform, options, is_wrong
):
    trained = policy("trained", input_features=STATE, output_features=NARROW, **NETWORK)
    words = ("submit", "lerobot-train", *platform, "--policy-path", trained, "--dataset-path", pusht, "--json")
    answer = robotrain(*words, "--", *options)
    problems = [
        problem for problem in answer.json.get("problems", ()) if "does not fit the policy, whose" in problem["title"]
    ]
    check_findings([problem["title"] for problem in problems], is_wrong, options[0].partition("=")[0])
    for problem in problems:
        assert answer.exit_code == 4
        (way,) = problem["instead"]
        ways = robotrain(*words, *way["text"].split())
        assert not [two for two in ways.json.get("problems", ()) if "whose weights" in two["title"]]


def test_parts_of_a_network_that_a_fine_tune_adds_are_a_warning(robotrain, policy, pusht):
    trained = policy("trained", input_features=STATE, output_features=NARROW, **NETWORK)
    words = ("submit", "lerobot-train", *HERE, "--policy-path", trained, "--dataset-path", pusht)
    answer = robotrain(*words, "--", "--policy.vision_backbone=resnet34", "--policy.dropout=0.2")
    check_problems(answer.stderr, "data-unexpected")


def test_options_of_a_fine_tune_break_the_rules_of_its_type_with_its_own_configuration(robotrain, policy, pusht):
    trained = policy("trained", input_features=STATE, output_features=NARROW, **NETWORK)
    words = ("submit", "lerobot-train", *CLOUD, "--policy-path", trained, "--dataset-path", pusht, "--json")
    answer = robotrain(*words, "--", "--policy.n_action_steps=20")
    (problem,) = (problem for problem in answer.json["problems"] if problem["code"] == "data-unusable")
    check_findings([problem["title"]], fact="--policy.n_action_steps=20")
    mended = robotrain(*words, "--", "--policy.n_action_steps=16").json["problems"]
    assert not [problem for problem in mended if problem["code"] == "data-unusable"]


@pytest.fixture
def hub(monkeypatch, tmp_path, policy, pusht):
    """A Hub with the private policy lab/arm, whose configuration lies on another host, and the dataset lab/pusht."""
    files = {file.name: file.read_bytes() for file in policy("hub", license=" " * 1000, output_features=WIDE).iterdir()}
    with HubStandIn() as stand_in:
        stand_in.repository("lab/arm", files)
        stand_in.repositories["models/lab/arm"].shut = "private"
        info = pusht / "meta/info.json"
        stand_in.repository("lab/pusht", {"meta/info.json": info.read_bytes()}, "dataset")
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        monkeypatch.setenv("HF_TOKEN", stand_in.token)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield stand_in


def test_a_policy_of_the_hub_is_compared_with_the_dataset_and_the_environment(find_problems, hub):
    for words in (("lerobot-train", "--dataset-repo-id", "lab/pusht"), ("lerobot-eval", "--env", "pusht")):
        check_findings(find_problems(*words, "--policy-repo-id", "lab/arm"), fact="but 6 values in the policy")
    assert find_problems("lerobot-eval", "--env", "pusht", "--policy-repo-id", "lab/arm", "--no-pin") == []  # not asked


def test_a_dataset_of_the_hub_is_compared_with_the_type_to_train(find_problems, hub):
    words = ("lerobot-train", "--dataset-repo-id", "lab/pusht", "--policy-type")
    assert find_problems(*words, "act") == []
    check_findings(find_problems(*words, "tdmpc"), fact="next.reward")


def test_a_hub_that_does_not_answer_is_left_to_the_run(robotrain, hub, monkeypatch):
    monkeypatch.setattr("robotrain_sources.huggingface.pin.READ_SECONDS", 0.3)
    hub.faults.append(Fault("resolve", status=500))
    commit = hub.repositories["models/lab/arm"].branches["main"]
    answer = robotrain("submit", "lerobot-eval", "--policy-repo-id", f"lab/arm@{commit}", "--env", "pusht", *CLOUD)
    check_problems(answer.stderr, "sources-unread", *NO_OSMO)


@pytest.fixture
def find_in_steps(robotrain, tmp_path):
    """The problems of inputs that a dry run of a pipeline on this machine finds, "STEP: PROBLEM"."""

    def submit(steps):
        (tmp_path / "pipeline.yaml").write_text(json.dumps({"name": "p", "steps": steps}))
        line = ("pipeline", "submit", tmp_path / "pipeline.yaml", "--platform", "local", "--dry-run", "--json")
        answer = robotrain(*line)
        problems = answer.json.get("problems", ()) if answer.exit_code else ()
        return [f"{problem['where']}: {problem['title']}" for problem in problems if problem["code"] == "data-unusable"]

    return submit


def training(pusht, **more):
    return {"workload": "lerobot-train", "sources": {"dataset": [{"local_path": str(pusht)}]}, **more}


def evaluation(**parameters):
    return {"workload": "lerobot-eval", "sources": {"policy": [{"from": "train"}]}, "parameters": parameters}


def test_a_pipeline_compares_the_data_of_its_training_with_the_environment_of_its_evaluation(find_in_steps, pusht):
    assert find_in_steps({"train": training(pusht), "evaluate": evaluation(env="pusht")}) == []
    problems = find_in_steps({"train": training(pusht), "evaluate": evaluation(env="aloha", policy_type="diffusion")})
    check_findings(problems, 4, "step evaluate: action has 14 values in aloha")


def test_options_that_change_what_the_policy_reads_leave_it_to_the_run(find_in_steps, pusht):
    train = training(pusht, trainer_args=["--policy.input_features={}"])
    assert find_in_steps({"train": train, "evaluate": evaluation(env="aloha")}) == []


def test_a_fine_tuned_policy_reads_what_the_first_one_did(find_in_steps, pusht, policy):
    start = policy("start", input_features=STATE, output_features=NARROW)
    train = training(pusht)
    train["sources"]["policy"] = [{"local_path": str(start)}]
    problems = find_in_steps({"train": train, "evaluate": evaluation(env="aloha")})
    check_findings(
        [problem for problem in problems if "observation.state" in problem],
        fact="step evaluate: observation.state has 14 values in aloha",
    )


def test_a_step_that_begins_from_an_earlier_one_is_compared_with_its_own_data(find_in_steps, pusht, dataset):
    other = {"observation.state": {"dtype": "float32", "shape": [6]}, "action": {"dtype": "float32", "shape": [2]}}
    tune = training(dataset(features=other))
    tune["sources"]["policy"] = [{"from": "train"}]
    check_findings(
        [problem for problem in find_in_steps({"train": training(pusht), "tune": tune}) if "state has" in problem],
        fact="step tune: observation.state has 6 values in the dataset",
    )


@pytest.mark.parametrize("platform", [pytest.param(HERE, marks=pytest.mark.slow), CLOUD])
def test_a_pipeline_compares_what_it_fine_tunes_from_the_hub(robotrain, hub, pusht, platform):
    hub.repository("lab/start", dict(hub.repositories["models/lab/arm"].commits.popitem()[1]))
    words = ("pipeline", "train-eval", *platform, "--json", "--dataset-path", pusht, "--policy-repo-id", "lab/start")
    answer = robotrain(*words, "--env", "pusht")
    problems = [
        (problem["where"], problem["title"])
        for problem in answer.json["problems"]
        if problem["code"] == "data-unusable"
    ]
    assert ("step evaluate", "action has 2 values in pusht, but 6 values in the policy") in problems
    read = [request for request in hub.requests if "resolve" in request and "config.json" in request]
    assert len(read) == len(set(read)) or platform != CLOUD, "once, although two steps need it"


def test_a_pipeline_compares_a_dataset_of_the_hub_with_the_environment(find_in_steps, hub):
    train = {"workload": "lerobot-train", "sources": {"dataset": [{"huggingface": "lab/pusht"}]}}
    problems = find_in_steps({"train": train, "evaluate": evaluation(env="aloha")})
    check_findings(
        [problem for problem in problems if "observation.state" in problem],
        fact="step evaluate: observation.state has 14 values in aloha",
    )
