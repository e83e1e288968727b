"""The stand-in refuses what the real OSMO refuses, in its words, with its exit codes (osmo.md, pipelines.md)."""

import json
import re

import pytest
import yaml
from osmo_stand_in import platform, pool
from osmo_stand_in.fixtures import FILE, RESOURCES, TASK, URL, resources, task, workflow
from osmo_stand_in.service.refusal import Refusal

EXTRA = "Extra inputs are not permitted [type=extra_forbidden"
DURATION = "Cannot recognize duration: 1h30m. Only support ISO 8601 (e.g. PT10S) or xd, xh, xm, xs, xms, xus"
CHECKPOINT = {"path": "/w", "url": URL, "frequency": "10m"}
STEPS = {"train": (), "evaluate": ("train",), "register": ("train", "evaluate")}


def dag(steps=STEPS):
    """A workflow with a task a step; what it reads by step."""
    return workflow(
        tasks=[
            {**TASK, "name": name, "inputs": [{"task": upstream} for upstream in read]} for name, read in steps.items()
        ]
    )


def write(spec: object) -> str:
    return spec if isinstance(spec, str) else yaml.safe_dump({"workflow": spec})


REFUSED = [
    (task(imagex="y"), "USAGE", EXTRA),
    (task(image=None), "USAGE", "workflow.tasks.0.image\n  Field required [type=missing"),
    (task(inputs=[{"dataset": {"name": "b/d"}}]), "USAGE", EXTRA),
    (task(outputs=[{"task": "a"}]), "USAGE", EXTRA),
    (task(files=[{"path": "/a", "localpath": "b"}]), "USAGE", EXTRA),
    (task(command=[]), "USAGE", "List should have at least 1 item"),
    (task(command=["a", True]), "USAGE", "Input should be a valid string"),
    (task(environment={"A": None}), "USAGE", "Input should be a valid string"),
    (task(environment={"A": ["b"]}), "USAGE", "Input should be a valid string"),
    (task(name="osmo-ctrl"), "USAGE", "This is a restricted name."),
    (task(name="a.b"), "USAGE", "String should match pattern"),
    (task(name="a" * 59), "USER", "is too long. It must be 64 characters or less."),
    (task(files=[FILE, FILE]), "USAGE", "Each file path must be unique."),
    (task(files=[{**FILE, "path": "/osmo/x"}]), "USAGE", 'adding file to "/osmo" is forbidden'),
    (task(exitActions={"AGAIN": "3"}), "USAGE", "Invalid exit action AGAIN."),
    (task(exitActions={"FAIL": "3-"}), "USAGE", "Invalid exit codes 3- for action FAIL"),
    (task(checkpoint=[{**CHECKPOINT, "url": "https://x/y"}]), "USAGE", "String should match pattern"),
    (task(checkpoint=[{**CHECKPOINT, "frequency": "1h30m"}]), "USAGE", DURATION),
    (task(credentials={"nope": {"HF_TOKEN": "hf_token"}}), "CREDENTIAL", "Could not find the credential: nope."),
    (
        task(credentials={"held": {"HF_TOKEN": "y"}}),
        "CREDENTIAL",
        "y is not a valid credential key please choose from dict_keys(['hf_token'])",
    ),
    (task(volumeMounts=["/dev/shm"]), "RESOURCE", "does not allow mount: /dev/shm. Task train"),
    (task(volumeMounts=["/a:/b:/c"]), "RESOURCE", "Invalid task volume mount: /a:/b:/c."),
    (task(resource="big"), "RESOURCE", "Requesting undefined resource big."),
    (task(inputs=[{"url": "https://x/y"}]), "SERVER", "Unknown URI scheme: https"),
    (task(inputs=[{"url": ""}]), "SERVER", "Unknown URI scheme: "),
    (task(inputs=[{"url": "azure://account"}]), "SERVER", "Incorrectly formatted Azure URI: azure://account"),
    (task(inputs=[{"url": "gs://b/c"}]), "CREDENTIAL", "No credentials configured for gs://b/c"),
    (task(inputs=[{"task": "other"}]), "SUBMISSION", "Task input other does not exist."),
    (dag({"train": ("train",)}), "SERVER", "requires input group"),
    (dag({"a": ("b",), "b": ()}), "SERVER", 'Group "a-group" requires input group "b-group" exists before itself.'),
    (dag({"train": ("other-1:train",)}), "DATABASE", "Task train of workflow other-1 is not found."),
    (workflow(tasks=[TASK, {**TASK, "name": "TRAIN"}]), "USAGE", "Multiple tasks/groups have the same name"),
    (workflow(tasks=[TASK, {**TASK, "name": "train-group"}]), "USAGE", "Multiple tasks/groups have the same name"),
    ({"name": "hello", "groups": [{"name": "g", "tasks": [{**TASK, "lead": True}] * 2}]}, "USAGE", "2 leader(s) but"),
    (workflow(tasks=[]), "USAGE", "Workflows need to have at least one group or one task."),
    (workflow(tasks=[{**TASK, "name": f"t{n}"} for n in range(21)]), "USER", "cannot have more than 20 tasks."),
    (workflow(name="1st"), "USAGE", "String should match pattern"),
    (workflow(name="a" * 65), "USER", "is too long"),
    (workflow(timeout={"exec_timeout": "1h30m"}), "USAGE", DURATION),
    (workflow(labels={"a": "b c"}), "USAGE", 'Workflow label value "b c" is not a valid'),
    (workflow(labels={f"l{n}": "v" for n in range(17)}), "USAGE", "Workflows can have at most 16 labels."),
    (workflow(resources={"big": RESOURCES}), "RESOURCE", "Task train has no specified resource."),
    (resources(memory="10GB"), "RESOURCE", "Resource memory field has invalid unit: GB"),
    (resources(storage="ten"), "RESOURCE", "Resource storage field has invalid value ten"),
    (resources(cpu="two"), "USAGE", "Input should be a valid integer"),
    (resources(nodes=["a"]), "USAGE", EXTRA),
    (resources(platform="a100"), "RESOURCE", "Platform a100 does not exist in pool default!"),
    ("workflow: {name: a}\nextra: 1\n", "USER", 'Unknown top-level key "extra" found in the workflow spec.'),
    ("workflow: {name: a}\nworkflow: {name: b}\n", "USER", 'Duplicate top-level key "workflow" found'),
    ('{"workflow": {"name": "a"}}', "USER", "Workflow spec not found."),
    ("  workflow:\n    name: a\n", "USER", "Workflow spec not found."),
    ("workflow:\n  name: [a\n", "USAGE", "Workflow spec is not properly formatted: "),
    ("workflow:\n  name: a\n  tasks: ['${#a[@]}']\n", "USAGE", "Missing end of comment tag"),
    ("workflow:\n  name: '{{ output }}'\n", "USAGE", "'output' is undefined"),
    ("workflow:\n  name: '{{ ''.__class__.mro() }}'\n", "USAGE", "Jinja substitution failure"),
    (f"workflow:\n  name: {'a' * 1_100_000}\n", "USAGE", "Process exceeded time limit"),
]


@pytest.mark.parametrize(("spec", "kind", "expected"), REFUSED, ids=lambda value: str(value)[:40])
def test_service_refuses_in_the_words_of_the_real_one(osmo, spec, kind, expected):
    osmo.credentials["held"] = {"hf_token": "secret"}
    with pytest.raises(Refusal, match=re.escape(expected)) as raised:
        osmo.submit(write(spec))
    assert raised.value.kind == kind
    assert not [workflow for workflow in osmo.workflows.values() if workflow.status != "FAILED_SUBMISSION"]


IN_A_POOL = [
    (platform(["/dev/shm"]), {}, ""),
    (platform(default_mounts=["/dev/shm"]), {}, "is already provided by platform"),
    (platform(["/dev/shm"], node={"cpu": 4, "memory": "7Gi", "storage": "99Gi"}), {}, "Value 8Gi too high for memory"),
    (platform(["/dev/shm"], node={"cpu": 4, "memory": "9Gi", "storage": "10Gi"}), {}, "Value 10Gi too high for storag"),
    (platform(["/dev/shm"], node={"cpu": 4, "memory": "9Gi", "storage": "99Gi"}), {}, ""),
    (platform(["/dev/shm"]), {"status": "MAINTENANCE"}, "undergoing maintenance"),
]


@pytest.mark.parametrize(("machines", "more", "expected"), IN_A_POOL)
def test_pools_and_platforms_decide(osmo, machines, more, expected):
    osmo.pools["default"] = pool({"gpu_platform": machines}, **more)
    if not expected:
        assert osmo.submit(write(task(volumeMounts=["/dev/shm"]))) == "hello-1"
        return
    with pytest.raises(Refusal, match=expected):
        osmo.submit(write(task(volumeMounts=["/dev/shm"])))


def test_older_service_has_datasets_and_no_labels(osmo):
    data = write(task(inputs=[{"dataset": {"name": "bucket/data"}}]))
    osmo.configure(service="6.3.1")
    with pytest.raises(Refusal, match="Bucket bucket is not set in the configs"):
        osmo.submit(data)
    osmo.configure(buckets=["bucket"])
    assert osmo.submit(data) == "hello-2"
    with pytest.raises(Refusal, match=re.escape(EXTRA)):
        osmo.submit(write(workflow(labels={"a": "b"})))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([{**FILE, "path": "/a/x"}, {**FILE, "path": "/b/x"}], "Duplicate value"),
        ([{**FILE, "contents": "no base64"}], "illegal base64"),
        ([{**FILE, "path": "/opt/a file"}], "a valid config key must consist of"),
    ],
)
def test_what_kubernetes_refuses_fails_after_the_submit(osmo, files, expected):
    name = osmo.submit(write(task(files=files)))
    workflow = osmo.workflows[name]
    assert (workflow.status, workflow.tasks[0]["status"]) == (
        "FAILED",
        "FAILED_BACKEND_ERROR",
    )  # the word of a group is vaguer
    assert expected in workflow.tasks[0]["failure_message"]


CALLS = [
    ("6.4.0", "workflow logs x -t json", 2),  # -t is --task: the workflow is unknown
    ("6.4.0", "workflow list -t json", 0),
    ("6.4.0", "workflow events x", 2),
    ("6.4.0", "dataset info pusht", 2),
    ("6.4.0", "credential list --format-type json", 2),
    ("6.4.0", "credential --format-type json list", 0),
    ("6.4.0", "workflow list --output json", 2),
    ("6.4.0", "workflow submit /dev/null --priority urgent", 2),
    ("6.4.0", "data list https://x/y", 2),
]


@pytest.mark.parametrize(("version", "words", "code"), CALLS, ids=[f"{call[0]} {call[1]}" for call in CALLS])
def test_command_takes_what_its_version_takes(osmo, osmo_cli, version, words, code):
    osmo.configure(client=version, service=version)
    assert osmo_cli(*words.split())[0] == code


FAILURES = [
    (lambda osmo: osmo.logout(), 2, 'Must login first with "login" command', 1),
    (lambda osmo: osmo.fail("workflow query", "refused"), 10, "\nCannot connect to OSMO service, with error:", 1),
    (lambda osmo: osmo.fail("", "server_error"), 10, "Status Code: 500", 500),
    (lambda osmo: osmo.fail("workflow query", "html"), 10, "\nError decoding JSON: Expecting value", 1),
    (lambda osmo: None, 2, "Workflow nope-1 is not found.", 400),
]


@pytest.mark.parametrize(
    ("spoil", "code", "expected", "number"), FAILURES, ids=[failure[2].strip()[:30] for failure in FAILURES]
)
def test_failure_goes_to_stdout_with_its_exit_status(osmo, osmo_cli, spoil, code, expected, number):
    spoil(osmo)
    exit_code, out, _ = osmo_cli("workflow", "query", "nope-1", "-t", "json")
    answer = json.loads(out)
    assert (exit_code, answer["code"], expected in answer["message"]) == (code, number, True)


def test_template_is_rendered_twice_so_that_an_escape_does_not_survive(osmo, osmo_cli, tmp_path):
    text, file = write(task(args=["ESCAPED"])), tmp_path / "w.yaml"
    for escaped, code in (("{% raw %}{{ x }}{% endraw %}", 1), ("{{ '{{ \"{{\" }}' }} x }}", 0)):
        file.write_text(text.replace("- ESCAPED", f"- |-\n      {escaped}"))
        assert osmo_cli("workflow", "submit", str(file), "-p", "default")[0] == code
    taken = osmo.workflows["hello-1"].task
    assert (taken["args"], taken["environment"], taken["files"]) == (["{{ x }}"], TASK["environment"], TASK["files"])


def test_data_has_its_quirks(osmo, osmo_cli, tmp_path):
    folder, target = tmp_path / "dir", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/a").write_text("A")
    target.mkdir()
    assert osmo_cli("data", "upload", f"{URL}/p", str(folder))[0] == 0
    assert osmo_cli("data", "upload", f"{URL}/q", f"{folder}/*")[0] == 0
    assert osmo.objects(URL) == {"p/dir/sub/a": b"A", "q/sub/a": b"A"}
    osmo_cli("data", "download", f"{URL}/p", str(target))
    assert (target / "dir/sub/a").read_text() == "A"
    code, _, err = osmo_cli("data", "download", f"{URL}/typo", str(target))
    assert (code, "No entries found for prefix" in err) == (0, True)
    assert osmo_cli("data", "list", f"{URL}/p", "--no-pager")[1] == "data/p/dir/\n\nTotal 1 objects found\n"
    assert osmo_cli("data", "list", f"{URL}/p", "--no-pager", "-r")[1].startswith("data/p/dir/sub/a\n")
    assert osmo_cli("data", "list", f"{URL}/typo", "--no-pager")[:2] == (0, "\nTotal 0 objects found\n")


def test_dependants_of_a_failed_task_fail_while_other_branches_go_on(osmo, osmo_cli):
    def list_groups() -> dict[str, str]:
        answer = json.loads(osmo_cli("workflow", "query", "hello-1", "-t", "json")[1])
        return {group["name"].removesuffix("-group"): group["status"] for group in answer["groups"]}

    osmo.submit(write(dag({**STEPS, "other": ("train",)})))
    with pytest.raises(Refusal, match="must be finished: Workflow ID hello-1 task train has status PROCESSING"):
        osmo.submit(write(dag({"evaluate": ("hello-1:train",)})))
    osmo.set_state("hello-1", task="train", task_status="RUNNING")
    osmo.retry("hello-1", exit_code=75)
    assert list_groups()["evaluate"] == "WAITING"
    osmo.set_state("hello-1", task="train", task_status="COMPLETED", exit_code=0)
    osmo.set_state("hello-1", task="other", task_status="RUNNING")
    osmo.set_state("hello-1", task="evaluate", task_status="FAILED_IMAGE_PULL", exit_code=3001)
    words = {"train": "COMPLETED", "other": "RUNNING", "evaluate": "FAILED", "register": "FAILED_UPSTREAM"}
    assert list_groups() == words
    osmo_cli("workflow", "cancel", "hello-1")
    assert list_groups() == {**words, "other": "FAILED_CANCELED"}
    assert osmo.workflows["hello-1"].status == "FAILED_CANCELED"
    assert "already finished" in osmo_cli("workflow", "cancel", "hello-1")[1]  # and exit code 0
