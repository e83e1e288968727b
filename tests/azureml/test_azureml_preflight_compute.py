"""What is said of a compute before a job is sent there: of what the workspace answered."""

import dataclasses
import json

import pytest
from azureml_plans import job, read_submission_spec, render_plan
from robotrain_azure.arm import parse_answer
from robotrain_azureml.preflight import compute
from robotrain_azureml.preflight.context import PreflightContext

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
    return compute.parse_compute(parse_answer(json.dumps(body | (identity if identities or own else {}))))


def make_cluster(kind="AmlCompute", identities=ONE, nodes=(0, 0, 2), **said):
    """nodes: idle ones, all there are now, all there may be."""
    idle, now, most = nodes
    counts = {"currentNodeCount": now, "nodeStateCounts": {"idleNodeCount": idle}}
    inner = {"vmSize": "Standard_NC6s_v3", "scaleSettings": {"maxNodeCount": most}, **counts, **said}
    properties = {"computeType": kind, "provisioningState": "Succeeded", "properties": inner}
    identity = {"type": "UserAssigned", "userAssignedIdentities": identities}
    return compute.parse_compute(
        parse_answer(json.dumps({"name": "gpus", "properties": properties, "identity": identity}))
    )


def check_compute(fetched, **order):
    kind = {"compute_kind": "managed", "instance_type": ""} if fetched.kind == "managed" else {}
    wanted = dataclasses.replace(ORDER, **{**kind, **order})
    looking = PreflightContext(None, wanted)  # type: ignore[arg-type]
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


@pytest.mark.parametrize(("name", "gpus", "severity"), [("cpu", 0, "warning"), ("gpuspot", 1, "error")])
def test_an_instance_type_with_too_few_gpus_is_reported(name, gpus, severity):
    [problem] = check_compute(make_kubernetes(), instance_type=name, gpus=2)
    assert (problem.code, problem.severity, problem.where) == ("machines-too-small", severity, "--instance-type")
    assert f"a machine of the type {name} has ({gpus})" in problem.title


def test_an_identity_that_the_compute_does_not_have_is_reported_with_those_it_has():
    [problem] = check_compute(make_kubernetes(), identity="c9")
    assert (problem.code, problem.severity, problem.where) == (
        "azureml-identity-missing",
        "warning",  # on Kubernetes a pod may sign in otherwise
        "--workload-identity",
    )
    assert list_suggestions(problem) == [f"--workload-identity {CLIENT}"]
    [problem] = check_compute(make_cluster(), identity="c9")
    assert problem.severity == "error"


def test_several_identities_without_a_chosen_one_are_reported_with_their_client_ids():
    [problem] = check_compute(make_cluster(identities=TWO), identity="")
    assert (problem.code, problem.severity) == ("value-missing", "error")
    assert list_suggestions(problem) == [f"--workload-identity {CLIENT}", "--workload-identity c2"]
    [problem] = check_compute(make_kubernetes(identities=TWO), identity="")
    assert (problem.code, problem.severity) == ("value-missing", "warning")


def test_an_object_id_in_the_place_of_the_client_id_is_reported():
    [problem] = check_compute(make_kubernetes(), identity=PRINCIPAL.upper())
    assert "client id" in problem.why
    assert list_suggestions(problem) == [f"--workload-identity {CLIENT}"]


def test_a_compute_without_an_identity_is_reported():
    assert list_codes(check_compute(make_kubernetes(identities=None))) == [("azureml-identity-missing", "warning")]
    assert list_codes(check_compute(make_cluster(identities=None))) == [("azureml-identity-missing", "error")]
