"""An evaluation in the container: the launcher's command, the tracking run, the metadata of a model."""

import json
from pathlib import Path

import pytest
from job_documents import evaluation, folders, read_options
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot_eval import container, launcher
from robotrain_workloads.lerobot_eval.inputs import loaded_policy
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.results import result_store

HUB = JobSource(role="dataset", kind="huggingface", uri="lerobot/pusht", pin="a" * 40)


@pytest.fixture
def make_evaluation(tmp_path, policy, dataset):
    """Make an evaluation of a policy on a dataset, unless others are named: `make_evaluation(env="pusht")`."""
    usual = {"policy": policy(), "dataset": dataset()}
    return lambda **given: evaluation(tmp_path / "work", **{**usual, **given})


@pytest.fixture
def make_work(tmp_path):
    """What the runtime is told to do: `make_work(document)`."""
    return lambda document: container.work(document, folders(document), tmp_path / "work")


def test_the_launcher_is_told_what_was_said_and_nothing_else(make_evaluation, make_work, tmp_path):
    document = make_evaluation()
    command = make_work(document).arguments
    assert command[:2] == ("-m", container.LAUNCHER)
    assert command[-1] == "--"
    assert read_options(command) == {
        "--policy": str(tmp_path / "policy"),
        "--policy-name": str(tmp_path / "policy"),
        "--policy-source": "local-path",
        "--policy-step": "0",
        "--root": str(tmp_path / "data"),
        "--dataset-name": "dataset",
        "--episodes": "10",
        "--batch": "10",
        "--seed": "1000",
        "--device": "auto",
        "--job-name": "lerobot-eval",
        "--results": str(tmp_path / "work/outputs/eval_results"),
        "--keep-policy": str(tmp_path / "work/outputs/policy/000000"),
    }


def test_everything_that_was_said_reaches_the_launcher(make_evaluation, make_work):
    document = make_evaluation(
        env="pusht",
        env_steps=80,
        starts="easy",
        success_reward=0.8,
        success_threshold=0.0,
        env_workers=0,
        record_video=True,
        replay_episodes="0,2-3",
        output_dir="/elsewhere",
        keep_policy=False,
        args=["--policy.n_action_steps=4"],
    )
    command = make_work(document).arguments
    said = read_options(command)
    assert command[-2:] == ("--", "--policy.n_action_steps=4")
    assert "--keep-policy" not in said
    assert said["--results"] == "/elsewhere/eval_results"
    assert {name: said[f"--{name}"] for name in ("env", "env-steps", "starts", "workers", "replay-episodes")} == {
        "env": "pusht",
        "env-steps": "80",
        "starts": "easy",
        "workers": "0",
        "replay-episodes": "0,2-3",
    }
    assert (said["--success-reward"], said["--success-threshold"], said["--record-video"]) == ("0.8", "0.0", "")


def test_starts_that_no_command_line_holds_are_handed_over_in_a_file(make_evaluation, make_work):
    many = json.dumps([[256, 400, 200, 300, 0.8]] * 6000)
    command = make_work(make_evaluation(env="pusht", starts=many)).arguments
    assert max(map(len, command)) < 1000
    own = command[2 : command.index("--")]
    assert launcher.parse_launcher_options(own).starts == many


def test_what_a_person_writes_into_their_policy_is_not_written_into_the_one_that_is_kept(
    make_evaluation, make_work, policy, saved
):
    def told(folder):
        return launcher.parse_launcher_options(make_work(make_evaluation(policy=folder)).arguments[2:-1])

    at = policy("mine")
    theirs = told(at)
    assert not theirs.link_policy
    assert not told(saved("brought/000300", 300)).link_policy
    assert told(saved("lerobot-train-00000000-1/outputs/checkpoints/000300", 300)).link_policy
    assert told(policy("work/fetched")).link_policy
    found = LoadedPolicy(policy=None, preprocessor=None, postprocessor=None, settings={}, device="cpu", folder=at)
    result_store.copy_policy(found, theirs.keep_policy, link=theirs.link_policy)
    with (at / "model.safetensors").open("r+b") as file:
        file.write(b"spoiled")
    assert b"spoiled" not in (theirs.keep_policy / "model.safetensors").read_bytes()


def test_registering_keeps_the_policy_and_an_untrained_one_is_not_kept(make_evaluation, make_work):
    kept = make_evaluation(keep_policy=False, register_model="m")
    assert "--keep-policy" in read_options(make_work(kept).arguments)
    untrained = make_evaluation(policy=None, builtin_policy=True)
    said = read_options(make_work(untrained).arguments)
    assert said["--builtin"] == "act"
    assert not {"--policy", "--keep-policy"} & said.keys()


def test_a_checkpoint_tells_its_step_and_the_run_that_made_it(make_evaluation, make_work, saved):
    at = saved("run/checkpoints/000300", 300)
    document = make_evaluation(policy=at)
    command = make_work(document).arguments
    assert read_options(command)["--policy"] == str(at / "pretrained_model")
    assert read_options(command)["--policy-step"] == "300"
    assert f"--tag=policy_run={checkpoint.read_manifest(at).run}" in command
    tags = container.publishing(document, folders(document)).tags
    assert tags["policy_step"] == "300"
    assert tags["policy_checkpoint_sha256"] == checkpoint.read_manifest(at).digest


@pytest.mark.parametrize(
    ("uri", "step"),
    [
        ("https://a.blob.core.windows.net/c/run/checkpoints/000400/pretrained_model", "400"),
        ("runs:/0123/policy/000250", "250"),
        ("https://a.blob.core.windows.net/c/20240101", "0"),
    ],
)
def test_a_step_is_told_by_the_name_where_nothing_else_tells_it(make_evaluation, policy, tmp_path, uri, step):
    named = JobSource(role="policy", kind="blob_url", uri=uri)
    document = make_evaluation(policy=named, dataset=None, env="pusht")
    command = container.work(document, {named: policy("came")}, tmp_path).arguments
    assert read_options(command)["--policy-step"] == step


def test_step_and_run_of_a_registered_policy_are_those_that_the_registry_told(make_evaluation, policy, tmp_path):
    named = JobSource(role="policy", kind="registered_model", uri="models:/pusht-act/1")
    document, came = make_evaluation(policy=named, dataset=None, env="pusht"), policy("came")
    model_lineage.write_policy_lineage(
        Path(document.placement.cache), came, {"policy_run": "lerobot-train-1", "policy_step": "400"}
    )
    command = container.work(document, {named: came}, tmp_path).arguments
    assert read_options(command)["--policy-step"] == "400"
    assert "--tag=policy_run=lerobot-train-1" in command
    assert read_options(command)["--keep-policy"].endswith("/policy/000400")
    assert container.publishing(document, {named: came}).tags["policy_run"] == "lerobot-train-1"


def test_the_tracking_run_has_the_names_of_the_contract(make_evaluation):
    told = container.tracked(
        make_evaluation(dataset=HUB, env="pusht", job_name="mine", args=["--policy.n_action_steps=4"])
    )
    assert told.experiment == "lerobot-act-inference"  # as the policy's folder says
    assert told.params["options"] == "--policy.n_action_steps=4"
    assert told.run_name == "mine"
    assert {"policy_repo_id", "dataset_repo_id", "eval_episodes", "env", "seed"} <= told.params.keys()
    assert told.params["dataset_repo_id"] == "lerobot/pusht"
    assert not {"policy_type", "device", "fps", "env_steps"} & told.params.keys()  # the launcher's; and never said
    fetched = JobSource(role="policy", kind="huggingface", uri="owner/policy")
    assert container.tracked(make_evaluation(policy=fetched, policy_type="pi0")).experiment == "lerobot-pi0-inference"
    assert container.tracked(make_evaluation(policy=fetched)).experiment == "lerobot-policy-inference"
    assert "options" not in container.tracked(make_evaluation()).params
    assert container.tracked(make_evaluation(policy=None, builtin_policy=True)).experiment == "lerobot-act-inference"
    assert "dataset_repo_id" not in container.tracked(make_evaluation(dataset=None, env="pusht")).params


def test_a_model_is_told_what_was_evaluated_and_on_what(make_evaluation, tmp_path):
    document = make_evaluation(register_model="pusht", env="pusht", platform="azureml")
    told = container.publishing(document, folders(document))
    assert told.register == "pusht"
    assert told.tags["source"] == "azureml-lerobot-inference"
    assert told.tags["policy_type"] == "act"
    assert told.tags["policy_uri"] == str(tmp_path / "policy")
    assert told.evaluated_on["dataset_uri"] == str(tmp_path / "data")
    assert told.evaluated_on["env"] == "pusht"
    assert not [name for name in told.tags if name.startswith("dataset_")]  # those are of what it was trained on
    assert "pusht" not in told.description  # it stays when another evaluation scores the model
    json.dumps(told.lineage, allow_nan=False)


def test_what_is_told_of_a_run_long_finished_needs_none_of_its_data(make_evaluation):
    told = container.publishing(make_evaluation(dataset=HUB, register_model="m", policy_type="pi0"), {})
    assert told.tags["policy_type"] == "pi0"
    assert told.evaluated_on["dataset_pin"] == HUB.pin
    assert told.tags["framework"] == "lerobot"


def test_the_environment_and_the_gpus_are_those_that_the_job_needs(make_evaluation):
    usual, aloha = (container.environment(make_evaluation(env=env)) for env in ("pusht", "aloha"))
    assert usual == container.ENVIRONMENT
    assert aloha.lock.name == "aloha.txt"
    assert container.gpus(make_evaluation(device="auto")) is None
    assert container.gpus(make_evaluation(device="cuda")).count == 1


def test_results_are_copied_to_a_folder_or_an_address(make_evaluation):
    addresses = ["https://a.blob.core.windows.net/c/p", "file:///results/", "/results"]
    found = [target.to for url in addresses for target in container.targets(make_evaluation(publish_url=url), {})]
    assert found == [addresses[0], "/results", "/results"]
    assert list(container.targets(make_evaluation(), {})) == []


def test_the_hub_is_left_alone_where_everything_lies_here(make_evaluation, make_work):
    assert make_work(make_evaluation()).environ["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in make_work(make_evaluation(dataset=HUB)).environ


def test_a_type_that_lerobot_does_not_know_is_told_with_those_that_it_does():
    loaded_policy.require_known_type("act", {"act": object}, "/policy")
    with pytest.raises(ValueError, match=r"^/policy .* wonder, .* act, pi0$"):
        loaded_policy.require_known_type("wonder", {"pi0": object, "act": object}, "/policy")
    with pytest.raises(ValueError, match="does not know"):
        loaded_policy.require_known_type(["act"], {"act": object}, "/policy")
