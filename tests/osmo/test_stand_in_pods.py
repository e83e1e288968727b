"""The stand-in runs a payload as a pod of OSMO does."""

import copy
import json
import subprocess

import pytest
from osmo_stand_in.fixtures import RESOURCES, URL, task
from osmo_stand_in.pod.namespace import Namespace
from osmo_stand_in.pod.room import HIDDEN_PYTHON, UNSHARE, isolates
from robotrain.cluster.spec import make_python_search

pytestmark = pytest.mark.slow

PROGRAM = """
import os, sys, time
print(open(sys.argv[1]).read(), os.environ["Z"], os.listdir(os.environ["IN"]), "HF_SECRET_VALUE", flush=True)
os.makedirs("/tmp/robotrain/c", exist_ok=True)
again = os.path.exists("/tmp/robotrain/c/here")
open("/tmp/robotrain/c/here", "w").write("x")
print("again" if again else "afresh", flush=True)
time.sleep(float(open(os.environ["IN"] + "/seconds").read()))
sys.exit(7)
"""
RUN = task(
    command=[HIDDEN_PYTHON, "-c", PROGRAM, "/opt/job.tar"],
    environment={"IN": "{{input:0}}", "Z": "a$$b $(IN) $(NO)"},
    inputs=[{"url": URL}],
    credentials={"held": {"HF_TOKEN": "hf_token"}},
    checkpoint=[{"path": "/tmp/robotrain/c", "url": "azure://account/out", "frequency": "1h"}],
    exitActions={"RESCHEDULE": "7,3006"},
)


@pytest.fixture
def workflow(osmo, osmo_post) -> str:
    osmo.credentials["held"] = {"hf_token": "HF_SECRET_VALUE"}
    osmo.put(URL, {"seconds": b"0"})
    osmo.limits(max_retry_per_task=1)
    assert osmo_post(copy.deepcopy(RUN))[0] == 200
    return "hello-1"


@pytest.mark.parametrize("maps", ["", "1"], ids=["isolated", "mapped"])
def test_a_payload_runs_as_in_a_pod_and_again_when_its_exit_code_says_so(osmo, osmo_cli, workflow, maps, monkeypatch):
    monkeypatch.setenv("OSMO_STAND_IN_MAPS_PATHS", maps)
    assert osmo.run(workflow, timeout=60) == 7
    log = osmo_cli("workflow", "logs", workflow)[1]
    there = f"{osmo.pod(workflow)}/disk" if maps else ""
    assert f"[train] {{{{ x }}}} {{% y a$b {there}/osmo/data/input/0 $(NO) ['seconds'] [MASKED]\n" in log
    assert log.count("afresh") == 2
    assert osmo.objects("azure://account/out") == {"c/here": b"x"}
    assert [osmo.workflows[workflow].status, osmo.workflows[workflow].tasks[0]["retry_id"]] == ["FAILED", 1]


def test_a_preempted_pod_is_gone_with_its_disk_and_runs_again(osmo, osmo_cli, workflow):
    osmo.put(URL, {"seconds": b"60"})
    running = osmo.start(workflow)
    assert running.pid
    osmo.put(URL, {"seconds": b"0"})
    osmo.reschedule(workflow)
    assert running.wait(60) == 7
    query = json.loads(osmo_cli("workflow", "query", workflow, "-v", "-t", "json")[1])
    assert [one["exit_code"] for one in query["groups"][0]["tasks"]] == [3006, 7]
    assert osmo_cli("workflow", "logs", workflow)[1].count("again") == 0


@pytest.mark.skipif(not isolates(), reason="this machine has no namespaces for users")
def test_image_is_like_that_of_isaac_lab(osmo, osmo_cli, osmo_post):
    """PATH has no Python, its user is not root, and the command that robotrain sends finds the Python all the same."""
    shows = (
        "command -v python python3; id -u; exec /bin/sh -c \"$0\" robotrain -I -c 'import sys; print(sys.executable)'"
    )
    osmo_post(task(command=["/bin/sh", "-c", shows, make_python_search([HIDDEN_PYTHON])]))
    assert osmo.run("hello-1", timeout=60) == 0
    log = osmo_cli("workflow", "logs", "hello-1")[1]
    printed = [line.partition("[train] ")[2] for line in log.splitlines() if "[train] " in line]
    assert printed == ["1000", HIDDEN_PYTHON]


def test_a_group_whose_lead_is_done_has_not_failed(osmo, osmo_post):
    lead, other = (
        {"name": name, "image": "ubuntu:22.04", "lead": name == "lead", "command": ["sleep", seconds]}
        for name, seconds in (("lead", "1"), ("other", "60"))
    )
    group = {"name": "both", "ignoreNonleadStatus": False, "tasks": [lead, other]}
    assert osmo_post({"name": "hello", "groups": [group], "resources": {"default": RESOURCES}})[0] == 200
    assert osmo.run("hello-1", timeout=30) == 0
    assert osmo.workflows["hello-1"].status == "COMPLETED"


def test_what_the_machine_cannot_start_is_a_start_error(osmo, osmo_post):
    osmo_post(task(args=["x" * 140_000]))
    assert osmo.run("hello-1", timeout=60) == 3003
    assert osmo.workflows["hello-1"].tasks[0]["status"] == "FAILED_START_ERROR"


@pytest.mark.skipif(not isolates(), reason="this machine has no namespaces for users")
def test_the_end_of_a_container_ends_no_other_that_would_have_got_its_number():
    held, own = Namespace(), (*UNSHARE, "readlink", "/proc/self/ns/mnt")
    with subprocess.Popen([*UNSHARE, "sleep", "60"]) as process:
        while held.number is None:
            held.look(process.pid)
        process.kill()
    numbers = {subprocess.run(own, capture_output=True, text=True, check=True).stdout for _ in range(5)}
    assert f"mnt:[{held.number}]\n" not in numbers
    held.end()
    assert held.number is None
