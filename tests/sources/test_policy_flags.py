"""The flags of policies, on the command line: what each stands for in a job, and the way out of each slip."""

import json
import time
from typing import Any

import pytest
from robotrain.model.run import RunRecord
from robotrain.store import records

PLANET = """
from dataclasses import dataclass
from robotrain.plugin import (
    YES, Capabilities, Output, Placement, Plan, Platform, PlatformEngine, PlatformPlans, Role, Status, Workload, hook,
    make_job_document,
)
from robotrain_runtime.contract.document import format_document

@dataclass(frozen=True, kw_only=True)
class Nothing:
    pass

KINDS = ("huggingface", "blob_url", "local_path", "mlflow_run", "registered_model", "model_asset")

class PlanetEngine(PlatformPlans, PlatformEngine):

    def check(self, job, settings):
        return ()

    def render(self, job, settings, run, payload, modules):
        placement = Placement(work="/w", cache="/c")
        name = self.platform.name
        body = make_job_document(job, run=run, platform=name, container_plugins=modules, placement=placement)
        files = {"job.json": format_document(body).encode()}
        return Plan(platform=name, run=run, job=job, spec="job.json", files=files, shown=("job.json",))

    def outputs(self, reference):
        yield Output(
            name="checkpoints/000400", kind="checkpoint", source="local_path", uri=reference["folder"], step=400,
            model="pretrained_model",
        )

    def status(self, reference):
        return Status(state="succeeded")


PLANET = Platform(
    name="planet",
    summary="takes every policy",
    engine_class=PlanetEngine,
    settings=Nothing,
    capabilities=Capabilities(
        sources={(role, kind): YES for role in ("policy", "init_policy") for kind in KINDS}, workloads={"flight": YES}
    ),
)

FLIGHT = Workload(
    name="flight", summary="flies by a policy", parameters=Nothing, roles={"policy": Role(), "init_policy": Role()},
    container_plugin="robotrain_workloads.lerobot_train.container",
)

@hook
def robotrain_platforms():
    return (PLANET,)

@hook
def robotrain_workloads():
    return (FLIGHT,)
"""

BLOB = "https://acc.blob.core.windows.net/box/p"
RUN = "flight-1a2b3c4d-1"


@pytest.fixture
def explain(install: Any, robotrain: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`explain("--policy-path", "x")` → the answer, of a workload and a platform that take policies."""
    for name in ("POLICY_REPO_ID", "INIT_FROM_POLICY_MODEL"):
        monkeypatch.delenv(name, raising=False)
    claims = {"platform.planet": "planet_plugin", "workload.flight": "planet_plugin"}
    install("robotrain-planet", claims, planet_plugin=PLANET)

    def explain(*args: object) -> Any:
        return robotrain("explain", "flight", "--platform", "planet", *args)

    return explain


def sources(answer: Any) -> dict[str, tuple[str, str]]:
    """What fills each role, and where that was said."""
    assert answer.exit_code == 0, answer.stderr
    rows = json.loads(answer.stdout)["values"]
    return {row["name"]: (row["value"], row["origin"]) for row in rows if row["name"] in ("policy", "init_policy")}


def test_the_environment_names_of_the_contract_are_read(explain, monkeypatch):
    monkeypatch.setenv("POLICY_REPO_ID", "u/p")
    monkeypatch.setenv("INIT_FROM_POLICY_MODEL", "azureml:act:3")
    assert sources(explain("--json")) == {
        "policy": ("huggingface u/p", "environment POLICY_REPO_ID"),
        "init_policy": ("model_asset azureml:act:3", "environment INIT_FROM_POLICY_MODEL"),
    }
    assert sources(explain("--policy-path", "/x", "--json"))["policy"] == ("local_path /x", "flag --policy-path")


def test_defect_1_a_policy_id_is_a_policy_to_go_on_from_and_nothing_that_is_pushed_to(explain, robotrain, tmp_path):
    """Contract H.1, row 1: the reference gave `--policy-repo-id` to the trainer as the place to publish to."""
    plan = tmp_path / "plan"
    answer = robotrain("render", "flight", "--platform", "planet", "--policy-repo-id", "u/p", "--to", plan)
    assert answer.exit_code == 0, answer.stderr
    document = json.loads((plan / "job.json").read_text())
    (source,) = document["sources"]
    assert (source["role"], source["kind"], source["uri"]) == ("policy", "huggingface", "u/p")
    assert document["trainer_args"] == []
    assert "u/p" not in json.dumps(document["parameters"])


def test_a_run_is_shown_as_what_it_resolved_to(explain, tmp_path):
    fields = {"job": "1" * 64, "plan": "2" * 64, "created": time.time(), "workload": "flight", "settings": {}}
    records.write_record(
        RunRecord(run=RUN, platform="planet", phase="sent", reference={"folder": "/runs/000400"}, **fields)
    )
    expected = {"policy": ("local_path /runs/000400/pretrained_model", "flag --policy-run")}
    assert sources(explain("--policy-run", "last", "--json")) == expected
    assert sources(explain("--policy-run", f"{RUN}@400", "--json")) == expected


@pytest.mark.parametrize(
    ("typed", "way"),
    [
        (("--policy-repo-id", "act:3"), "--policy-model act:3"),
        (("--policy-repo-id", "azureml:act:3"), "--policy-model azureml:act:3"),
        (("--policy-repo-id", "runs:/0123/model"), "--policy-model runs:/0123/model"),
        (("--policy-repo-id", "/x/checkpoints/last"), "--policy-path /x/checkpoints/last"),
        (("--policy-path", "hf://u/p"), "--policy-repo-id hf://u/p"),
        (("--policy-path", BLOB), f"--policy-url {BLOB}"),
        (("--policy-path", "models:/act/3"), "--policy-model models:/act/3"),
        (("--policy-url", "azureml:act:3"), "--policy-model azureml:act:3"),
        (("--policy-url", "u/p"), "--policy-repo-id u/p"),
        (("--policy-model", "act"), "--policy-model NAME:VERSION"),
        (("--policy-model", "azureml://jobs/j/outputs/artifacts/paths/a/b/"), "--policy-model runs:/j/a/b"),
        (("--policy-url", "runs:/0123/model"), "--policy-model runs:/0123/model"),
        (("--policy-model", BLOB), f"--policy-url {BLOB}"),
        (("--policy-run", "/x/checkpoints/last"), "--policy-path /x/checkpoints/last"),
    ],
)
def test_a_slip_is_answered_with_the_flag_of_a_policy(explain, typed, way):
    answer = explain(*typed)
    assert answer.exit_code == 2
    assert f"use   {way}" in answer.stderr
    assert "--dataset" not in answer.stderr
    assert "S3CRET" not in answer.stderr
