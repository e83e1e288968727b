"""What is said of a compute before a job is sent there: of what the workspace answered."""

import dataclasses
import json

import pytest
from azureml_plans import job, read_submission_spec, render_plan
from robotrain.errors import format_problem
from robotrain_azure.arm import Answer, parse_answer
from robotrain_azureml.preflight import compute, machines
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.preflight.machines import MachineSize

CLIENT, PRINCIPAL = "c1000000-0000-0000-0000-000000000001", "d1000000-0000-0000-0000-000000000001"
NAME = "k8s-robot-dev-00"
ORDER = read_submission_spec(render_plan(job(), workload_identity=CLIENT, compute_kind="kubernetes"))
ONE = {"/s/userAssignedIdentities/id-train": {"clientId": CLIENT, "principalId": PRINCIPAL}}
TYPES = {
    "cpu": {"resources": {"requests": {"cpu": "4"}, "limits": {"cpu": "4"}}},
    "gpuspot": {"resources": {"requests": {}, "limits": {"nvidia.com/gpu": "1"}}},
    "gpuspot2": {"resources": {"requests": None, "limits": {"nvidia.com/gpu": 2}}},
}


def make_kubernetes(types=TYPES, identities=ONE, own="", **more):
    identity = {"identity": {"type": own or "UserAssigned", "userAssignedIdentities": identities}}
    properties = {"computeType": "Kubernetes", "provisioningState": "Succeeded", **more}
    body = {"name": NAME, "properties": {"properties": {"instanceTypes": types}, **properties}}
    return machines.parse_compute(parse_answer(json.dumps(body | (identity if identities or own else {}))))


def make_cluster(kind="AmlCompute", identities=ONE, nodes=(0, 0, 2), **said):
    """nodes: idle ones, all there are now, all there may be."""
    idle, now, most = nodes
    counts = {"currentNodeCount": now, "nodeStateCounts": {"idleNodeCount": idle}}
    inner = {"vmSize": "Standard_NC6s_v3", "scaleSettings": {"maxNodeCount": most}, **counts, **said}
    properties = {"computeType": kind, "provisioningState": "Succeeded", "properties": inner}
    identity = {"type": "UserAssigned", "userAssignedIdentities": identities}
    return machines.parse_compute(
        parse_answer(json.dumps({"name": "gpus", "properties": properties, "identity": identity}))
    )


def check_compute(fetched, wanted_nodes=1, **order):
    kind = {"compute_kind": "managed", "instance_type": ""} if fetched.type != "Kubernetes" else {}
    wanted = dataclasses.replace(ORDER, **{**kind, **order})
    looking = PreflightContext(None, wanted, nodes=wanted_nodes)  # type: ignore[arg-type]
    return list(compute.check_fetched_compute(looking, fetched))


def list_codes(problems):
    return [(problem.code, problem.severity) for problem in problems]


def list_suggestions(problem):
    return [way.text for way in problem.suggestions]


TWO = {**ONE, "/s/userAssignedIdentities/id-eval": {"clientId": "c2", "principalId": "d2"}}
FITS = {
    "a Kubernetes compute": (make_kubernetes(), {}),
    "a cluster": (make_cluster(), {}),
    "a cluster with an idle node": (make_cluster(nodes=(1, 2, 2)), {}),
    "a cluster with room for a node": (make_cluster(nodes=(0, 1, 2)), {}),
    "a kind that nobody said counts as Kubernetes": (make_kubernetes(), {"compute_kind": ""}),
    "enough GPUs": (make_kubernetes(), {"instance_type": "gpuspot2", "gpus": 2}),
    "a workload that needs no GPU": (make_kubernetes(), {"instance_type": "cpu", "gpus": 0}),
    "no list of instance types": (make_kubernetes(None), {"gpus": 4}),
    **{
        f"an instance type that says nothing of GPUs: {type}": (make_kubernetes({"gpuspot": type}), {"gpus": 4})
        for type in (None, {}, {"resources": None}, {"resources": {}})
    },
    "an identity in another case": (make_kubernetes(), {"identity": CLIENT.upper()}),
    "identities without ids": (make_kubernetes(identities={"/s/userAssignedIdentities/id": {}}), {"identity": "c9"}),
    "its only identity": (make_cluster(), {"identity": ""}),
    "its own identity": (make_kubernetes(identities=None, own="SystemAssigned"), {"identity": ""}),
    "its own among several": (make_kubernetes(identities=TWO, own="SystemAssigned,UserAssigned"), {"identity": ""}),
}


@pytest.mark.parametrize(("fetched", "order"), FITS.values(), ids=FITS)
def test_compute_that_fits_causes_no_problem(fetched, order):
    assert check_compute(fetched, **order) == []


@pytest.mark.parametrize(
    ("state", "severity"),
    [("Creating", "warning"), ("Failed", "error"), ("Deleting", "error"), ("Canceled", "error"), ("Unknown", None)],
)
def test_an_unhealthy_compute_is_reported_with_azures_reason(state, severity):
    errors = [{"error": {"code": "Extension", "message": "The extension is gone: see https://x/?sig=c2VjcmV0"}}]
    problems = check_compute(make_kubernetes(provisioningState=state, provisioningErrors=errors))
    assert list_codes(problems) == ([("pool-closed", severity)] if severity else [])
    assert all("The extension is gone" in problem.why and "c2VjcmV0" not in problem.why for problem in problems)


def test_a_compute_that_runs_no_command_jobs_is_reported():
    [problem] = check_compute(make_kubernetes(computeType="Databricks"))
    assert problem.title == f"the compute {NAME} has the type Databricks and runs no command jobs"
    assert list_suggestions(problem)[0].startswith("az ml compute list --workspace-name")


@pytest.mark.parametrize(
    ("fetched", "kind", "way"),
    [
        (make_kubernetes(), "managed", "kubernetes"),
        (make_cluster(), "kubernetes", "managed"),
        (make_cluster(), "", "managed"),
    ],
)
def test_a_job_rendered_for_another_kind_of_compute_is_reported(fetched, kind, way):
    [problem] = check_compute(fetched, compute_kind=kind)
    assert (problem.code, list_suggestions(problem)) == ("resource-unsuitable", [f"--compute-kind {way}"])
    assert (problem.where, problem.given) == ("--compute-kind", kind)


def test_an_instance_type_that_is_not_there_is_offered_one_with_as_many_gpus():
    [problem] = check_compute(make_kubernetes(), instance_type="gpuspot4", gpus=2)
    assert (problem.code, list_suggestions(problem)) == ("resource-unknown", ["--instance-type gpuspot2"])
    assert "Existing: cpu, gpuspot, gpuspot2." in problem.why


def test_an_instance_type_with_too_few_gpus_is_reported():
    [problem] = check_compute(make_kubernetes(), gpus=2)
    assert problem.title == "the instance type gpuspot has 1 GPU, but the job trains on 2"
    assert list_suggestions(problem) == ["--instance-type gpuspot2", "--num-gpus 1"]


def test_an_instance_type_without_gpus_is_a_warning():
    [problem] = check_compute(make_kubernetes(), instance_type="cpu")
    assert (problem.code, problem.severity, list_suggestions(problem)) == (
        "machines-too-small",
        "warning",
        ["--instance-type gpuspot"],
    )


def test_an_identity_that_the_compute_does_not_have_is_reported_with_those_it_has():
    [problem] = check_compute(make_kubernetes(), identity="c9")
    assert (problem.code, problem.severity, problem.where) == (
        "azureml-identity-missing",
        "warning",  # on Kubernetes a pod may sign in otherwise
        "--workload-identity",
    )
    assert list_suggestions(problem)[0] == f"--workload-identity {CLIENT}"
    assert "az ml compute attach" in list_suggestions(problem)[1]
    [problem] = check_compute(make_cluster(), identity="c9")
    assert (problem.severity, "az ml compute update" in list_suggestions(problem)[1]) == ("error", True)


def test_several_identities_without_a_chosen_one_are_reported_with_their_client_ids():
    [problem] = check_compute(make_cluster(identities=TWO), identity="")
    assert (problem.code, problem.severity) == ("value-missing", "error")
    assert list_suggestions(problem) == [f"--workload-identity {CLIENT}", "--workload-identity c2"]
    [problem] = check_compute(make_kubernetes(identities=TWO), identity="")
    assert (problem.code, problem.severity) == ("value-missing", "warning")


def test_an_object_id_in_the_place_of_the_client_id_is_reported():
    [problem] = check_compute(make_kubernetes(), identity=PRINCIPAL.upper())
    assert "object id" in problem.why
    assert list_suggestions(problem) == [f"--workload-identity {CLIENT}"]


def test_a_compute_without_an_identity_is_reported():
    assert list_codes(check_compute(make_kubernetes(identities=None))) == [("azureml-identity-missing", "warning")]
    assert list_codes(check_compute(make_cluster(identities=None))) == [("azureml-identity-missing", "error")]


@pytest.mark.parametrize(
    ("nodes", "code", "severity"),
    [((0, 0, 0), "azureml-compute-empty", "error"), ((0, 2, 2), "pool-full", "note")],
)
def test_a_cluster_that_has_no_node_for_the_job_is_reported(nodes, code, severity):
    [problem] = check_compute(make_cluster(nodes=nodes))
    assert (problem.code, problem.severity) == (code, severity)
    command = "az ml compute update --name gpus --max-instances 1 --workspace-name ws-tf"
    assert severity == "note" or list_suggestions(problem)[0].startswith(command)


def test_more_nodes_than_the_cluster_may_have_are_refused_with_how_many_it_may():
    [problem] = check_compute(make_cluster(nodes=(0, 0, 2)), wanted_nodes=4)
    assert (problem.code, problem.severity, problem.where, problem.given) == (
        *("nodes-too-few", "error"),
        *("--num-nodes", "4"),
    )
    assert problem.title == "the compute gpus has at most 2 nodes, but the job trains on 4"
    fewer, more = list_suggestions(problem)
    assert fewer == "--num-nodes 2"
    assert more.startswith("az ml compute update --name gpus --max-instances 4 ")
    [problem] = check_compute(make_cluster(kind="ComputeInstance", state="Running"), wanted_nodes=2)
    assert (problem.code, list_suggestions(problem)) == (
        "nodes-too-few",
        ["--num-nodes 1", "--compute NAME"],
    )
    assert check_compute(make_kubernetes(), wanted_nodes=9) == [], "how many a Kubernetes cluster has is not known"


@pytest.mark.parametrize(("nodes", "free"), [((0, 0, 2), None), ((2, 2, 2), None), ((1, 2, 2), 1), ((0, 1, 2), 1)])
def test_a_job_of_several_nodes_waits_until_all_of_them_are_free(nodes, free):
    problems = check_compute(make_cluster(nodes=nodes), wanted_nodes=2)
    assert list_codes(problems) == ([("pool-full", "note")] if free else [])
    assert all(problem.title.startswith(f"{free} of 2 nodes of the compute gpus are free") for problem in problems)


def test_what_a_cluster_says_of_its_nodes_is_passed_on():
    errors = [{"error": {"code": "ClusterCoreQuotaReached", "message": "Operation results in exceeding quota limits."}}]
    [problem] = check_compute(make_cluster(errors=errors))
    assert (problem.code, problem.severity) == ("azureml-compute-errors", "warning")
    assert list_suggestions(problem)[0].startswith("az ml compute show --name")
    assert "exceeding quota" in problem.why


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("Running", None),
        ("JobRunning", None),
        ("Starting", None),
        ("Stopped", "azureml-compute-stopped"),
        ("Stopping", "azureml-compute-stopped"),
        ("CreateFailed", "pool-closed"),
        ("Unusable", "pool-closed"),
    ],
)
def test_a_compute_instance_that_is_not_running_is_reported(state, code):
    problems = check_compute(make_cluster(kind="ComputeInstance", state=state))
    assert list_codes(problems) == ([(code, "error")] if code else [])
    if code == "azureml-compute-stopped":
        assert "az ml compute start --name gpus" in format_problem(problems[0])


class Usages:
    """Who answers for what is used."""

    def __init__(self, *rows) -> None:
        self.rows = rows

    def list_all(self, path: str):
        assert path.endswith("/locations/westeurope/usages")
        return iter(parse_answer(json.dumps({"value": self.rows})).get_objects("value"))


def usage(used: object, limit: object, family: str = "standardNCSv3Family", kind: str = "dedicatedCores"):
    kind = f"Microsoft.MachineLearningServices/workspaces/{kind}/usages"
    return {"type": kind, "currentValue": used, "limit": limit, "name": {"value": family}}


def of_quota(*rows, low=False, nodes=1):
    looking = PreflightContext(Usages(*rows), ORDER, Answer(location="West Europe"))  # type: ignore[arg-type]
    wanted = MachineSize("Standard_NC6s_v3", "standardNCSv3Family", 6, 1)
    return list_codes(machines.check_quota(looking, wanted, low, nodes))


@pytest.mark.parametrize(
    ("used", "limit", "severity"),
    [
        (0, 6, None),
        (0, 5, "error"),
        (1, 6, "warning"),
        (0, 0, "error"),
        (90, -1, None),
        (0, None, None),
        ("1", "6", "warning"),
    ],
)
def test_a_node_that_the_quota_does_not_allow_is_reported(used, limit, severity):
    assert of_quota(usage(used, limit)) == ([("azureml-quota", severity)] if severity else [])


@pytest.mark.parametrize(("used", "limit", "severity"), [(0, 12, None), (0, 11, "error"), (1, 12, "warning")])
def test_the_quota_is_that_of_all_nodes_together(used, limit, severity):
    assert of_quota(usage(used, limit), nodes=2) == ([("azureml-quota", severity)] if severity else [])


TOTAL_LOW_PRIORITY = "Total Cluster LowPriority Regional vCPUs"


def test_only_the_quota_of_the_very_machines_counts():
    other, low = usage(0, 0, "standardDSv5Family"), usage(0, 0, kind="lowPriorityCores")
    assert of_quota(other, low, usage(0, 6)) == []
    assert of_quota(other, low, usage(0, 6), low=True) == [("azureml-quota", "error")]
    assert of_quota(other) == []
    total = {**usage(4, 5), "name": {"value": "TotalLowPriorityCores", "localizedValue": TOTAL_LOW_PRIORITY}}
    assert of_quota(usage(0, 99, kind="lowPriorityCores"), total, low=True) == [("azureml-quota", "error")]
    assert of_quota(usage(0, 6), total) == []
