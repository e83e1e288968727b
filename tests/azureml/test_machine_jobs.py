"""What executes a job here does to it what a compute of Azure ML would do."""

import time

import pytest
from azure_stand_in.manager import CONTRIBUTOR, READER
from azure_stand_in.ml.job_execution import Machine
from osmo_stand_in.pod.room import HIDDEN_PYTHON

pytestmark = pytest.mark.slow

TRAINS, OTHER = "c2000000-0000-0000-0000-000000000002", "c3000000-0000-0000-0000-000000000003"
UNROLED = "c4000000-0000-0000-0000-000000000004"
TOKEN = """
import json, os, sys, urllib.error, urllib.request
at, secret = os.environ["MSI_ENDPOINT"], os.environ["MSI_SECRET"]
for client in sys.argv[1:]:
    query = f"api-version=2017-09-01&resource=https://storage.azure.com&clientid={client}"
    try:
        asked = urllib.request.Request(f"{at}?{query}", headers={"secret": secret})
        print(json.load(urllib.request.urlopen(asked))["client_id"])
    except urllib.error.HTTPError as error:
        print(error.code)
"""


@pytest.fixture
def compute(enclosed, azureml_stored, tmp_path):
    """The compute of the workspace."""
    azureml_stored.kubernetes(identities=(("id-train", TRAINS, "p1"), ("id-other", UNROLED, "p2")))
    azureml_stored.environment("plain", "1", "ubuntu:24.04")
    azureml_stored.here.runner = machine = Machine(azureml_stored, tmp_path, {})
    yield machine
    machine.stop()


@pytest.fixture
def send_job(azureml_stored, compute):
    """Send a job by hand: it is taken by the machine at once."""
    from robotrain_azure.arm import ArmClient

    names = iter(f"job-{number}-{time.time_ns()}" for number in range(9))

    def send(command, **more):
        at, name = azureml_stored.at, next(names)
        whole = {"upload_status": "completed"}
        azureml_stored.store.put_one(azureml_stored.container, "code/beside.txt", b"beside\n", whole)
        code = {"codeUri": f"https://{azureml_stored.account}.blob.core.windows.net/{azureml_stored.container}/code"}
        ArmClient(20).create_or_update(f"{at}/codes/plain/versions/1", {"properties": code})
        body = {
            "jobType": "Command",
            "command": command,
            "codeId": f"{at}/codes/plain/versions/1",
            "environmentId": f"{at}/environments/plain/versions/1",
            "computeId": f"{at}/computes/k8s-robot-dev-00",
            "resources": {"instanceCount": 1, "instanceType": "gpuspot"},
            "experimentName": "by-hand",
            **more,
        }
        ArmClient(20).create_or_update(f"{at}/jobs/{name}", {"properties": body})
        return azureml_stored.jobs[name]

    return send


def test_only_an_identity_of_the_compute_is_answered(compute, send_job):
    job = send_job(f"{HIDDEN_PYTHON} - {TRAINS} {OTHER} <<'END'\n{TOKEN}END\n")
    assert compute.wait(job.name) == "Completed", job.read_log()
    assert job.read_log() == [TRAINS, "400"]


@pytest.mark.parametrize(
    ("client", "role", "end", "why"),
    [
        (TRAINS, CONTRIBUTOR, "Completed", ""),
        (TRAINS, READER, "Failed", "WriteStreams.Authentication"),
        (None, CONTRIBUTOR, "Failed", "StreamAccess.Authentication"),
    ],
)
def test_inputs_and_outputs_are_those_of_the_jobs_identity(azureml_stored, compute, send_job, client, role, end, why):
    azureml_stored.store.put(azureml_stored.container, {"in/a.txt": b"one"})
    azureml_stored.manager.assign("p1", role, azureml_stored.manager.account(azureml_stored.account))
    job = send_job(
        'cat "$AZURE_ML_INPUT_data/a.txt" > "$AZURE_ML_OUTPUT_kept/file"',
        identity={"identityType": "Managed", **({"clientId": client} if client else {})},
        inputs={"data": {"jobInputType": "uri_folder", "uri": azureml_stored.data("mine", 1, "in")}},
        outputs={"kept": {"jobOutputType": "uri_folder", "mode": "Upload"}},
    )
    assert compute.wait(job.name) == end
    assert why in (job.error or {"message": ""})["message"]


def test_a_job_that_runs_too_long_and_one_without_its_data_end(azureml_stored, compute, send_job):
    late = send_job("sleep 60", limits={"jobLimitsType": "Command", "timeout": "PT1S"})
    asset = {"jobInputType": "uri_folder", "mode": "ReadOnlyMount", "uri": azureml_stored.data("none", 1, "nowhere")}
    empty = send_job("echo never", inputs={"data": asset})
    assert (compute.wait(late.name), compute.wait(empty.name)) == ("Canceled", "Failed")
    assert "StreamAccess.NotFound" in empty.error["message"]


GROUP = {
    "resources": {"instanceCount": 2, "instanceType": "gpuspot"},
    "distribution": {"distributionType": "PyTorch", "processCountPerInstance": 1},
}
LOGS = [f"user_logs/std_log_process_{rank}.txt" for rank in range(2)]


def test_each_node_of_a_job_has_a_process_with_its_rank_a_disk_and_a_log(compute, send_job):
    names = "$NODE_RANK $RANK $LOCAL_RANK $WORLD_SIZE $AZUREML_NODE_COUNT $MASTER_ADDR $MASTER_PORT"
    job = send_job(f"echo {names}; mkdir /tmp/robotrain/mine && cat beside.txt", **GROUP)
    assert compute.wait(job.name) == "Completed", [job.read_log(log) for log in LOGS]
    first, second = ([*job.read_log(log)[0].split(), *job.read_log(log)[1:]] for log in LOGS)
    assert (first[:6], second[:6]) == (
        ["0", "0", "0", "2", "2", "127.0.0.1"],
        ["1", "1", "0", "2", "2", "127.0.0.1"],
    )
    assert first[6:] == second[6:] == [first[6], "beside"], "they meet at one port"
    assert job.read_log() == []


def test_a_node_that_fails_ends_the_others_and_one_that_is_preempted_lets_all_begin_again(compute, send_job):
    job = send_job('echo began; [ "$NODE_RANK" = 1 ] && exit 3; sleep 60', **GROUP)
    assert compute.wait(job.name) == "Failed"
    assert "status code 3" in job.error["message"]
    assert LOGS[1] in job.error["message"]
    job = send_job('echo "began $NODE_RANK"; sleep 2', **GROUP)
    compute.taken(job.name).preempt()
    assert compute.wait(job.name) == "Completed"
    assert compute.running[job.name].attempts == 2
    assert [f"began {rank}" in job.read_log(log) for rank, log in enumerate(LOGS)] == [True, True]
