"""Each setting of each platform, changed alone to a value other than the default, changes what is sent."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import robotrain as api
from parity_cells import settings_of
from parity_command import DATASET, ON, PLATFORMS, platform_words
from parity_document import Arrived
from robotrain.model.plan import Plan


class Change(NamedTuple):
    """value: another one. beside: further values, given with it and without; None leaves a usual one out."""

    value: Any
    beside: Mapping[str, Any] = {}


IDENTITY = "11111111-2222-4333-8444-555555555555"
IMAGE = "registry.example/robots/train:2"
STORED = {"dataset_repo_id": None, "dataset_name": "pusht"}
PROLOGUE = Path(__file__).with_name("requirements.txt")
"""Any file of lines for a shell."""
PATCH = Path(__file__).with_name("patch.yaml")
PLUGIN_FOLDER = Path(__file__).with_name("container_plugins")
PROGRAM = {"dataset_repo_id": None, "workload": "isaac-train"}
CODE = {**PROGRAM, "code": str(PLUGIN_FOLDER), "entry": "parity_stranger/kinds.py"}
"""A small folder of this machine, in place of the usual job."""
FOLDER = {"policy_path": "/data/policy"}
SECRET = {"hf_credential": "hf-token", "key_vault": "vault-1"}

AZURE = {
    "subscription_id": Change("sub-2"),
    "resource_group": Change("rg-2"),
    "workspace_name": Change("ws-2"),
    "workload_identity": Change(IDENTITY),
    "mlflow_token_retries": Change("7"),
    "mlflow_http_timeout": Change("77"),
}
"""Of every platform that speaks to Azure."""
CONTAINER = {
    "image": Change(IMAGE),
    "labels": Change("team=arms"),
    "exec_timeout": Change("6h"),
    "work_dir": Change("/scratch/robotrain"),
    "cache_gib": Change("50"),
    "download_mib": Change("64"),
}
RUN_FOLDER = {
    "environment": Change("/envs/train"),
    "runs_dir": Change("/runs"),
    "tracking_uri": Change("https://mlflow.example"),
    "torch_backend": Change("cpu"),
    "blob_credential_file": Change("/keys/blob"),
    "hub_token_file": Change("/keys/hub"),
    "secrets": Change({"API_TOKEN": "/keys/api"}),
    "cache_gib": Change("50"),
    "download_mib": Change("64"),
}
"""Of every platform whose runs are folders that this machine sees."""
CHANGES: Mapping[str, Mapping[str, Change]] = {
    "local": RUN_FOLDER,
    "osmo": {
        **AZURE,
        **CONTAINER,
        "pool": Change("other-pool"),
        "gpu_platform": Change("ovx-l40s"),
        "gpus": Change("2"),
        "cpu": Change("4"),
        "memory": Change("32Gi"),
        "storage": Change("100Gi"),
        "shared_memory": Change("mount", {"num_workers": 2}),
        "priority": Change("HIGH"),
        "queue_timeout": Change("2h"),
        "tracking_uri": Change("https://mlflow.example"),
        "hf_credential": Change("hub"),
        "wandb_credential": Change("wandb_team", {"wandb": True}),
        "blob_credential": Change("blobs"),
        "secrets": Change({"API_TOKEN": "team:api"}),
        "delivery": Change("dataset", CODE),
        "code_dataset": Change("robots/code", {**CODE, "storage_account": "account1"}),
        "dataset_bucket": Change("robots", STORED),
        "buckets": Change("lerobot-datasets=azure://account2/robots", STORED),
        "publish_dataset": Change("robots/policies", {"storage_account": "account1"}),
        "storage_account": Change("account2", FOLDER),
        "storage_container": Change("robots", FOLDER),
        "server": Change("6.3"),
        "osmo_cli": Change("/opt/osmo"),
        "spec_patch": Change(str(PATCH)),
    },
    "azureml": {
        **AZURE,
        **CONTAINER,
        "tracking_uri": Change("none"),
        "compute": Change("k8s-b"),
        "aks_cluster": Change("aks-2", {"compute": None, "aks_cluster": "aks-1"}),
        "compute_kind": Change("managed"),
        "instance_type": Change("gpu-large"),
        "environment_name": Change("other-env"),
        "environment_version": Change("7"),
        "display_name": Change("An arm"),
        "shm_size": Change("16g"),
        "output_mode": Change("upload"),
        "datastore": Change("robots"),
        "hf_credential": Change("other-token", SECRET),
        "secrets": Change({"API_TOKEN": "api"}, {"key_vault": "vault-1"}),
        "key_vault": Change("vault-2", SECRET),
        "spec_patch": Change(str(PATCH)),
    },
    "slurm": {
        **RUN_FOLDER,
        "tracking_uri": Change("none"),
        "login": Change("me@cluster", {"runs_dir": "/runs", "cache_dir": "/cache"}),
        "partition": Change("gpu"),
        "account": Change("robots"),
        "qos": Change("long"),
        "time": Change("6h"),
        "gpus": Change("2"),
        "gpu_type": Change("a100"),
        "cpus": Change("4"),
        "memory": Change("32G"),
        "constraint": Change("a100|h100"),
        "exclude": Change("n3"),
        "sbatch": Change({"nice": "10"}),
        "modules": Change("cuda"),
        "prologue": Change(str(PROLOGUE)),
        "container": Change("apptainer", {"container": "pyxis", "image": IMAGE}),
        "image": Change(IMAGE, {"container": "pyxis", "image": "registry.example/robots/train:1"}),
        "cache_dir": Change("/cache"),
        "storage": Change("shared"),
        "unshared": Change(str(Path(FOLDER["policy_path"]).parent), FOLDER),
        "stage": Change(True),
        "continuation": Change("never"),
        "stop_seconds": Change("60"),
    },
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_setting_is_changed(platform: str) -> None:
    assert sorted(CHANGES[platform]) == sorted(setting.name for setting in settings_of(platform))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_changed_setting_changes_the_plan_and_not_the_job(platform: str) -> None:
    place = {flag[2:].replace("-", "_"): value for flag, value in ON[platform].items()}
    plans: dict[str, Plan] = {}

    def render(values: Mapping[str, Any]) -> Plan:
        """Render a plan once."""
        settings = {name: value for name, value in values.items() if value is not None}
        return plans.get(str(settings)) or plans.setdefault(str(settings), api.render(platform=platform, **settings))

    for name, change in CHANGES[platform].items():
        usual = {"dataset_repo_id": "lerobot/pusht", **place, **change.beside}
        before, after = render(usual), render(usual | {name: change.value})
        assert before.digest != after.digest, f"{name} on {platform} changes nothing"
        assert (before.run, before.job) == (after.run, after.job), f"{name} on {platform} changes the job"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_tracking_uri_none_disables_tracking(render_job: Callable[..., Arrived], robotrain: Any, platform: str) -> None:
    off = {"--tracking-uri": "none"}
    assert render_job(platform, given={**dict([DATASET]), **off}).document.placement.tracking_uri == ""
    refused = robotrain("explain", *DATASET, *platform_words(platform, {**off, "-r": "act-pusht"}), "--json")
    assert refused.exit_code > 0
    assert "--register-checkpoint" in {problem["where"] for problem in refused.json["problems"]}
    evaluation = ("lerobot-eval", *DATASET, "--policy-model", f"runs:/{'a' * 32}/checkpoint")
    assert robotrain("explain", *evaluation, *platform_words(platform, off)).exit_code > 0
    assert robotrain("explain", *evaluation, *platform_words(platform)).exit_code == 0
