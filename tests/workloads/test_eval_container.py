"""An evaluation in the container: the launcher's command, the tracking run, the metadata of a model."""

import hashlib
import json
from pathlib import Path

import pytest
from job_documents import evaluation, folders, get_work
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import read_lock
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot import loaded_policy
from robotrain_workloads.lerobot_eval import container, references
from robotrain_workloads.lerobot_eval.inputs import request
from robotrain_workloads.lerobot_eval.inputs.request import EvaluatedPolicy, EvaluationRequest
from robotrain_workloads.lerobot_eval.results import result_store

HUB = JobSource(role="dataset", kind="huggingface", uri="lerobot/pusht", pin="a" * 40)


@pytest.fixture
def make_evaluation(tmp_path, policy, dataset):
    """Make an evaluation of a policy on a dataset, unless others are named: `make_evaluation(env="pusht")`."""
    usual = {"policy": policy(), "dataset": dataset()}
    return lambda **parameters: evaluation(tmp_path / "work", **{**usual, **parameters})


def read_work(document, data=None):
    """What the launcher is asked for."""
    data = folders(document) if data is None else data
    command = container.work(document, data, Path(document.placement.work)).arguments
    assert command[:2] == ("-m", container.LAUNCHER)
    return request.read_request(Path(*command[2:]))


def test_the_launcher_is_asked_for_nothing_that_was_not_given(make_evaluation, tmp_path):
    mine = EvaluatedPolicy(name=str(tmp_path / "policy"), source="local-path", folder=tmp_path / "policy")
    document = make_evaluation()
    assert read_work(document) == EvaluationRequest(
        job_name="lerobot-eval",
        policy=mine,
        root=tmp_path / "data",
        dataset="dataset",
        tasks=[],
        options=[],
        results=tmp_path / "work/outputs/eval_results",
        work=tmp_path / "work",
        kept_policy=tmp_path / "work/outputs/policy/000000",
        lock=hashlib.sha256(read_lock(container.ENVIRONMENT.lock).encode()).hexdigest(),
        conditions_digest=references.digest_conditions(document.parameters, ()),
    )


def test_every_given_parameter_reaches_the_launcher(make_evaluation):
    parameters = {"env": "pusht", "env_steps": 80, "starts": "easy", "env_workers": 0, "replay_episodes": "0,2-3"}
    parameters |= {"exclude_episodes": "2"}
    parameters |= {"success_reward": 0.8, "success_threshold": 0.0, "record_video": True, "task_description": "push"}
    parameters |= {"eval_episodes": 3, "eval_batch_size": 2, "seed": 5, "device": "cpu", "job_name": "mine"}
    options = ["--policy.n_action_steps=4", "--env.fps=5"]
    request = read_work(make_evaluation(**parameters, keep_policy=False, output_dir="/elsewhere", args=options))
    assert {name: getattr(request, name) for name in parameters} == parameters
    assert (request.options, request.results, request.kept_policy) == (options, Path("/elsewhere/eval_results"), None)


def test_a_comparison_reaches_the_launcher_with_every_reference(make_evaluation, policy, saved, tmp_path):
    compared = [policy("other", type="diffusion"), saved("run/checkpoints/000300", 300)]
    parameters = {"at_most": 40, "confidence": 0.9, "detect": 0.3, "margin": 0.1}
    document = make_evaluation(references=compared, dataset=None, env="pusht", policy_type="act", **parameters)
    request = read_work(document)
    assert {name: getattr(request, name) for name in parameters} == parameters
    assert [(reference.folder, reference.step, reference.role) for reference in request.references] == [
        (compared[0], 0, "reference"),
        (compared[1] / "pretrained_model", 300, "reference"),
    ]
    assert request.policy.folder == tmp_path / "policy"
    assert container.tracked(document).params["references"] == " ".join(map(str, compared))
    lineage = container.publishing(document, folders(document)).lineage
    assert [uri for _, uri, _ in lineage["compared_with"]] == [*map(str, compared)]


def test_names_of_tasks_and_renames_reach_the_launcher(make_evaluation):
    parameters = {"env": "metaworld", "env_tasks": "push-v3,reach-v3,push-v3", "rename": "observation.a=observation.b"}
    request = read_work(make_evaluation(dataset=None, **parameters))
    assert (request.tasks, request.renames) == (["push-v3", "reach-v3"], {"observation.a": "observation.b"})


def test_long_starts_reach_the_launcher(make_evaluation):
    many = json.dumps([[256, 400, 200, 300, 0.8]] * 6000)
    assert read_work(make_evaluation(env="pusht", starts=many)).starts == many


def test_a_users_later_changes_of_the_policy_do_not_change_the_kept_one(make_evaluation, policy, saved):
    folder = policy("mine")
    request = read_work(make_evaluation(policy=folder))
    assert not request.link_policy
    assert not read_work(make_evaluation(policy=saved("brought/000300", 300))).link_policy
    sealed = saved("lerobot-train-00000000-1/outputs/checkpoints/000300", 300)
    assert read_work(make_evaluation(policy=sealed)).link_policy
    assert read_work(make_evaluation(policy=policy("work/fetched"))).link_policy
    result_store.copy_policy(folder, request.kept_policy, link=request.link_policy)
    with (folder / "model.safetensors").open("r+b") as file:
        file.write(b"spoiled")
    assert b"spoiled" not in (request.kept_policy / "model.safetensors").read_bytes()


def test_registering_keeps_the_policy_and_an_untrained_one_is_not_kept(make_evaluation):
    assert read_work(make_evaluation(keep_policy=False, register_model="m")).kept_policy
    untrained = read_work(make_evaluation(policy=None, builtin_policy=True))
    assert (untrained.policy, untrained.kept_policy) == (EvaluatedPolicy(name="act", source="builtin"), None)


def test_a_checkpoint_has_its_step_and_the_run_that_made_it(make_evaluation, saved):
    at = saved("run/checkpoints/000300", 300)
    document = make_evaluation(policy=at)
    request = read_work(document)
    assert (request.policy.folder, request.policy.step) == (at / "pretrained_model", 300)
    assert request.tags["policy_run"] == checkpoint.read_manifest(at).run
    tags = container.publishing(document, folders(document)).tags
    assert tags["policy_step"] == "300"
    assert tags["policy_checkpoint_sha256"] == checkpoint.read_manifest(at).digest


@pytest.mark.parametrize(
    ("uri", "step"),
    [
        ("https://a.blob.core.windows.net/box/run/checkpoints/000400/pretrained_model", 400),
        ("runs:/0123/policy/000250", 250),
        ("https://a.blob.core.windows.net/box/20240101", 0),
    ],
)
def test_the_step_is_read_from_the_name_where_nothing_else_has_it(make_evaluation, policy, uri, step):
    named = JobSource(role="policy", kind="blob_url", uri=uri)
    document = make_evaluation(policy=named, dataset=None, env="pusht")
    assert read_work(document, {named: policy("came")}).policy.step == step


def test_step_and_run_of_a_registered_policy_are_those_of_the_registry(make_evaluation, policy):
    named = JobSource(role="policy", kind="registered_model", uri="models:/pusht-act/1")
    document, came = make_evaluation(policy=named, dataset=None, env="pusht"), policy("came")
    recorded = {"policy_run": "lerobot-train-1", "policy_step": "400"}
    model_lineage.write_policy_lineage(Path(document.placement.cache), came, recorded)
    request = read_work(document, {named: came})
    assert (request.policy.step, request.tags["policy_run"]) == (400, "lerobot-train-1")
    assert request.kept_policy.parts[-2:] == ("policy", "000400")
    assert container.publishing(document, {named: came}).tags["policy_run"] == "lerobot-train-1"


def test_the_tracking_run_has_the_names_of_the_contract(make_evaluation):
    args = ["--policy.n_action_steps=4"]
    spec = container.tracked(make_evaluation(dataset=HUB, env="pusht", job_name="mine", args=args))
    assert spec.experiment == "lerobot-act-inference"  # as the policy's folder says
    assert (spec.run_name, spec.params["options"]) == ("mine", "--policy.n_action_steps=4")
    assert {"policy_repo_id", "dataset_repo_id", "eval_episodes", "env", "seed"} <= spec.params.keys()
    assert spec.params["dataset_repo_id"] == "lerobot/pusht"
    assert not {"policy_type", "device", "fps", "env_steps"} & spec.params.keys()  # the launcher's; and never said
    fetched = JobSource(role="policy", kind="huggingface", uri="owner/policy")
    assert container.tracked(make_evaluation(policy=fetched, policy_type="pi0")).experiment == "lerobot-pi0-inference"
    assert container.tracked(make_evaluation(policy=fetched)).experiment == "lerobot-policy-inference"
    assert "options" not in container.tracked(make_evaluation()).params
    assert container.tracked(make_evaluation(policy=None, builtin_policy=True)).experiment == "lerobot-act-inference"
    assert "dataset_repo_id" not in container.tracked(make_evaluation(dataset=None, env="pusht")).params


def test_a_registered_model_has_what_was_evaluated_and_on_what(make_evaluation, tmp_path):
    document = make_evaluation(register_model="pusht", env="pusht", platform="azureml")
    spec = container.publishing(document, folders(document))
    assert spec.register == "pusht"
    assert spec.tags["source"] == "azureml-lerobot-inference"
    assert spec.tags["policy_type"] == "act"
    assert spec.tags["policy_uri"] == str(tmp_path / "policy")
    assert spec.evaluated_on["dataset_uri"] == str(tmp_path / "data")
    assert spec.evaluated_on["env"] == "pusht"
    assert not [name for name in spec.tags if name.startswith("dataset_")]  # those are of what it was trained on
    assert "pusht" not in spec.description  # it stays when another evaluation scores the model
    assert (spec.lineage["policy_uri"], spec.lineage["policy_pin"]) == (str(tmp_path / "policy"), None)
    json.dumps(spec.lineage, allow_nan=False)


def test_metadata_of_a_finished_run_needs_none_of_its_data(make_evaluation):
    spec = container.publishing(make_evaluation(dataset=HUB, register_model="m", policy_type="pi0"), {})
    assert spec.tags["policy_type"] == "pi0"
    assert spec.evaluated_on["dataset_pin"] == HUB.pin
    assert spec.tags["framework"] == "lerobot"


def test_the_environment_and_the_gpus_are_those_that_the_job_needs(make_evaluation):
    usual, aloha = (container.environment(make_evaluation(env=env)) for env in ("pusht", "aloha"))
    assert usual == container.ENVIRONMENT
    assert aloha.lock.name == "aloha.txt"
    assert container.gpus(make_evaluation(device="auto")) is None
    assert container.gpus(make_evaluation(device="cuda")).count == 1


def test_results_are_copied_to_a_folder_or_an_address(make_evaluation):
    addresses = ["https://a.blob.core.windows.net/box/p", "file:///results/", "/results"]
    destinations = [
        target.to for url in addresses for target in container.targets(make_evaluation(publish_url=url), {})
    ]
    assert destinations == [addresses[0], "/results", "/results"]
    assert list(container.targets(make_evaluation(), {})) == []


def test_the_hub_is_off_where_every_source_is_local(make_evaluation):
    assert get_work(make_evaluation()).environ["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in get_work(make_evaluation(dataset=HUB)).environ


def test_an_unknown_policy_type_is_named_with_the_known_ones():
    loaded_policy.require_known_type("act", {"act": object}, "/policy")
    with pytest.raises(ValueError, match=r"^/policy .* wonder, .* act, pi0$"):
        loaded_policy.require_known_type("wonder", {"pi0": object, "act": object}, "/policy")
    with pytest.raises(ValueError, match="does not know"):
        loaded_policy.require_known_type(["act"], {"act": object}, "/policy")
