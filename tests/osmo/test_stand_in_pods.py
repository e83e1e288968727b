"""The stand-in runs a payload as a pod of OSMO does."""

import subprocess
import time

import pytest
import yaml
from osmo_stand_in.fixtures import RESOURCES, TASK, URL, task, workflow
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


def submit(osmo, spec: object) -> str:
    return osmo.submit(yaml.safe_dump({"workflow": spec}))


@pytest.fixture
def sent(osmo) -> str:
    osmo.credentials["held"] = {"hf_token": "HF_SECRET_VALUE"}
    osmo.put(URL, {"seconds": b"0"})
    osmo.configure(max_retry_per_task=1)
    return submit(osmo, RUN)


@pytest.mark.parametrize("maps", ["", "1"], ids=["isolated", "mapped"])
def test_a_payload_runs_as_in_a_pod_and_again_when_its_exit_code_says_so(osmo, osmo_cli, sent, maps, monkeypatch):
    monkeypatch.setenv("OSMO_STAND_IN_MAPS_PATHS", maps)
    assert osmo.run(sent, timeout=60) == 7
    log = osmo_cli("workflow", "logs", sent)[1]
    there = f"{osmo.pod(sent)}/disk" if maps else ""
    assert f"[train] {{{{ x }}}} {{% y a$b {there}/osmo/data/input/0 $(NO) ['seconds'] [MASKED]\n" in log
    assert log.count("afresh") == 2
    assert osmo.objects("azure://account/out") == {"c/here": b"x"}
    assert [osmo.workflows[sent].status, osmo.workflows[sent].tasks[0]["retry_id"]] == ["FAILED", 1]


def test_a_preempted_pod_is_gone_with_its_disk_and_runs_again(osmo, osmo_cli, sent):
    osmo.put(URL, {"seconds": b"60"})
    running = osmo.start(sent)
    while not (osmo.pod(sent) / "disk/tmp/robotrain/c/here").exists():
        time.sleep(0.05)
    osmo.put(URL, {"seconds": b"0"})
    osmo.reschedule(sent)
    assert running.wait(60) == 7
    assert osmo_cli("workflow", "logs", sent)[1].count("again") == 0


@pytest.mark.skipif(not isolates(), reason="this machine has no namespaces for users")
def test_image_is_like_that_of_isaac_lab(osmo, osmo_cli):
    """PATH has no Python, its user is not root, and the command that robotrain sends finds the Python all the same."""
    shows = (
        "command -v python python3; id -u; exec /bin/sh -c \"$0\" robotrain -I -c 'import sys; print(sys.executable)'"
    )
    submit(osmo, task(command=["/bin/sh", "-c", shows, make_python_search([HIDDEN_PYTHON])]))
    assert osmo.run("hello-1", timeout=60) == 0
    log = osmo_cli("workflow", "logs", "hello-1")[1]
    printed = [line.partition("[train] ")[2] for line in log.splitlines() if "[train] " in line]
    assert printed == ["1000", HIDDEN_PYTHON]


def test_a_group_whose_lead_is_done_has_not_failed(osmo):
    lead, other = (
        {"name": name, "image": "ubuntu:22.04", "lead": name == "lead", "command": ["sleep", seconds]}
        for name, seconds in (("lead", "1"), ("other", "60"))
    )
    group = {"name": "both", "ignoreNonleadStatus": False, "tasks": [lead, other]}
    submit(osmo, {"name": "hello", "groups": [group], "resources": {"default": RESOURCES}})
    assert osmo.run("hello-1", timeout=30) == 0
    assert osmo.workflows["hello-1"].status == "COMPLETED"


def test_what_the_machine_cannot_start_is_a_start_error(osmo):
    submit(osmo, task(args=["x" * 140_000]))
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


WRITES = """
import os, pathlib, sys
out = pathlib.Path(os.environ["OUT"])
for name in ("IN", "BY_NAME"):
    for file in sorted(pathlib.Path(os.environ.get(name, "/none")).rglob("*.txt")):
        print(name, file.name, file.read_text(), flush=True)
print("lost token", os.environ["LOST"], flush=True)
(out / "small").mkdir(exist_ok=True)
(out / "small" / "a.txt").write_text("of " + os.environ["STEP"])
(out / "large.txt").write_text("x")
sys.exit(int(os.environ["CODE"]))
"""


def make_running_task(name: str, code: int = 0, **more) -> dict[str, object]:
    environment = {"OUT": "{{output}}", "STEP": name, "CODE": str(code), "LOST": "{{input:7}}"}
    if more.get("inputs"):
        environment |= {"IN": "{{input:0}}", "BY_NAME": "{{input:train}}"}
    return {**TASK, "name": name, "command": [HIDDEN_PYTHON, "-c", WRITES], "environment": environment, **more}


def test_pods_run_one_after_the_other_and_outputs_travel(osmo, osmo_cli):
    tasks = [
        make_running_task("train"),
        make_running_task("evaluate", 5, inputs=[{"task": "train", "regex": "^small/.*"}]),
        make_running_task("register", inputs=[{"task": "train"}, {"task": "evaluate"}]),
    ]
    submit(osmo, workflow(tasks=tasks))
    assert osmo.run("hello-1", timeout=60) == 5
    states = [task["status"] for task in osmo.workflows["hello-1"].tasks]
    assert sorted(states) == ["COMPLETED", "FAILED", "FAILED_UPSTREAM"]
    log = osmo_cli("workflow", "logs", "hello-1")[1]
    assert "[evaluate] IN a.txt of train\n" in log
    assert "[evaluate] BY_NAME a.txt of train\n" in log
    assert "[evaluate] lost token {{input:7}}\n" in log
    assert "[evaluate] IN large.txt" not in log
    assert "[register] " not in log
    of_one = osmo_cli("workflow", "logs", "hello-1", "-t", "evaluate")[1]
    assert ("[evaluate] " in of_one, "[train] " in of_one) == (True, False)
    assert osmo_cli("workflow", "logs", "hello-1", "-t", "evaluat")[0] == 2

    tasks = [make_running_task("evaluate", inputs=[{"task": "hello-1:train"}])]
    submit(osmo, workflow(tasks=tasks))
    assert osmo.run("hello-2", timeout=60) == 0
    assert "[evaluate] IN large.txt x\n" in osmo_cli("workflow", "logs", "hello-2")[1]
