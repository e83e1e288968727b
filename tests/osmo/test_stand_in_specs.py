"""The stand-in rejects the same workflows as the real OSMO, with the same texts (osmo.md, its source)."""

import pytest
import yaml
from osmo_stand_in import platform, pool
from osmo_stand_in.fixtures import FILE, RESOURCES, TASK, URL, WORKFLOW, resources, task, workflow

EXTRA = "Extra inputs are not permitted [type=extra_forbidden"
DURATION = "Cannot recognize duration: 1h30m. Only support ISO 8601 (e.g. PT10S) or xd, xh, xm, xs, xms, xus"
CHECKPOINT = {"path": "/w", "url": URL, "frequency": "10m"}
REFUSED = [
    (task(imagex="y"), "USAGE", EXTRA),
    (task(image=None), "USAGE", "workflow.tasks.0.image\n  Field required [type=missing"),
    (task(inputs=[{"dataset": {"name": "b/d"}}]), "USAGE", EXTRA),
    (task(outputs=[{"task": "a"}]), "USAGE", EXTRA),
    (task(files=[{"path": "/a", "localpath": "b"}]), "USAGE", EXTRA),
    (task(command=[]), "USAGE", "should have at least one command"),
    (task(command=["a", True]), "USAGE", "Input should be a valid string"),
    (task(environment={"A": None}), "USAGE", "Input should be a valid string"),
    (task(environment={"A": ["b"]}), "USAGE", "Input should be a valid string"),
    (task(name="osmo-ctrl"), "USAGE", "This is a restricted name."),
    (task(name="a.b"), "USAGE", "String should match pattern"),
    (task(name="a" * 59), "USER", "is too long. It must be 64 characters or less."),
    (task(files=[FILE, FILE]), "USAGE", "Each file path must be unique."),
    (task(files=[{**FILE, "path": "/osmo/x"}]), "USAGE", 'adding file to "/osmo" is forbidden'),
    (task(exitActions={"AGAIN": "3"}), "USAGE", "Invalid exit action AGAIN for task train."),
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
    (task(privileged=True), "RESOURCE", "does not have privileged flag enabled. Task train"),
    (task(resource="big"), "RESOURCE", "Requesting undefined resource big."),
    (task(inputs=[{"url": "https://x/y"}]), None, "Internal server error: Unknown URI scheme: https"),
    (task(inputs=[{"url": ""}]), None, "Internal server error: Unknown URI scheme: "),
    (task(inputs=[{"url": "azure://account"}]), None, "Incorrectly formatted Azure URI: azure://account"),
    (task(inputs=[{"url": "gs://b/c"}]), "CREDENTIAL", "No credentials configured for gs://b/c"),
    (task(inputs=[{"task": "other"}]), "SUBMISSION", "Task input other does not exist."),
    (
        workflow(tasks=[{**TASK, "inputs": [{"task": "b"}]}, {**TASK, "name": "b"}]),
        None,
        'Group "train-group" requires input group "b-group" exists before itself.',
    ),
    (workflow(tasks=[TASK, {**TASK, "name": "TRAIN"}]), "USAGE", "Multiple tasks/groups have the same name"),
    (workflow(tasks=[TASK, {**TASK, "name": "train-group"}]), "USAGE", "Multiple tasks/groups have the same name"),
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
]


@pytest.mark.parametrize(("workflow", "kind", "expected"), REFUSED, ids=lambda value: str(value)[:40] if value else "")
def test_what_osmo_refuses_is_refused_in_its_words(osmo, osmo_post, workflow, kind, expected):
    osmo.credentials["held"] = {"hf_token": "secret"}
    status, body = osmo_post(workflow)
    assert expected in body["message"]
    assert (status, body.get("error_code")) == ((400, kind) if kind else (500, None))
    assert not [one for one in osmo.workflows.values() if one.status != "FAILED_SUBMISSION"]


LATE = "<class 'TimeoutError'>: Process exceeded time limit of 0.05 seconds"
RAW = [
    ("workflow: {name: a}\nextra: 1\n", 'Unknown top-level key "extra" found in the workflow spec.'),
    ("workflow: {name: a}\nworkflow: {name: b}\n", 'Duplicate top-level key "workflow" found'),
    ('{"workflow": {"name": "a"}}', "Workflow spec not found."),
    ("  workflow:\n    name: a\n", "Workflow spec not found."),
    ("workflow:\n  name: [a\n", "Workflow spec is not properly formatted: "),
    ("workflow:\n  name: a\n  tasks: ['${#a[@]}']\n", "Missing end of comment tag"),
    ("workflow:\n  name: '{{ output }}'\n", "'output' is undefined"),
    ("workflow:\n  name: '{{ x }}'\n", "Jinja substitution failure: <class 'jinja2.exceptions.UndefinedError'>"),
    ("workflow:\n  name: '{{ ''.__class__.mro() }}'\n", "Jinja substitution failure"),
    ("workflow:\n  name: '{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}'\n", LATE),
    (f"workflow:\n  name: {'a' * 1_100_000}\n", LATE),
]


@pytest.mark.parametrize(("text", "expected"), RAW, ids=[expected[:40] for _, expected in RAW])
def test_a_text_that_is_no_workflow_is_refused(osmo, osmo_post, text, expected):
    osmo.limits(sandbox_seconds=0.05)
    status, body = osmo_post(text=text)
    assert status == 400
    assert expected in body["message"]


def test_aliases_count_in_full_for_what_is_kept_but_not_for_what_is_sent(osmo, osmo_post):
    tasks = f"  - &one {{name: a, image: a, command: [{'x' * 400}]}}\n  - {{<<: *one, name: b}}\n"
    text = f"workflow:\n  name: hello\n  tasks:\n{tasks}  resources: {{default: {{cpu: 1, gpu: 0}}}}\n"
    osmo.limits(expanded_bytes=800)
    assert len(text) < 800
    assert osmo_post(text=text)[0] == 500
    osmo.limits(expanded_bytes=1000)
    assert osmo_post(text=text)[0] == 200


@pytest.mark.parametrize("version", ["6.3.1", "6.4.0"])
def test_the_recommended_shape_is_taken_after_any_number_of_renders(osmo, osmo_post, version):
    osmo.versions(service=version)
    text = yaml.safe_dump({"workflow": WORKFLOW})
    for _ in range(4):
        text = osmo_post(text=text, dry_run=True)[1]["spec"]
    assert osmo_post(text=text)[1]["name"] == "hello-1"
    taken = osmo.workflows["hello-1"].task
    assert (taken["environment"], taken["files"]) == (TASK["environment"], TASK["files"])


def test_a_template_is_rendered_twice_so_that_an_escape_does_not_survive(osmo, osmo_cli, tmp_path):
    text = yaml.safe_dump({"workflow": task(args=["ESCAPED"])})
    file = tmp_path / "w.yaml"
    for escaped, code in (("{% raw %}{{ x }}{% endraw %}", 1), ("{{ '{{ \"{{\" }}' }} x }}", 0)):
        file.write_text(text.replace("- ESCAPED", f"- |-\n      {escaped}"))
        assert osmo_cli("workflow", "submit", str(file), "-p", "default")[0] == code
    assert osmo.workflows["hello-1"].task["args"] == ["{{ x }}"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([{**FILE, "path": "/a/x"}, {**FILE, "path": "/b/x"}], "Duplicate value"),
        ([{**FILE, "contents": "no base64"}], "illegal base64"),
        ([{**FILE, "path": "/opt/a file"}], "a valid config key must consist of"),
    ],
)
def test_what_kubernetes_refuses_fails_after_the_submit(osmo, osmo_post, files, expected):
    status, _ = osmo_post(task(files=files))
    assert (status, osmo.workflows["hello-1"].status) == (200, "FAILED")  # the word of a group is less exact
    assert osmo.workflows["hello-1"].tasks[0]["status"] == "FAILED_BACKEND_ERROR"
    assert expected in osmo.workflows["hello-1"].tasks[0]["failure_message"]


def test_pools_and_platforms_decide(osmo, osmo_post):
    shm = task(volumeMounts=["/dev/shm"])
    osmo.pools["default"] = pool(
        {"gpu_platform": platform(allowed_mounts=["/dev/shm"], node={"cpu": 4, "memory": "9Gi", "storage": "99Gi"})}
    )
    assert osmo_post(shm)[0] == 200
    assert "Value 48Gi too high for memory" in osmo_post(resources(memory="48Gi"))[1]["message"]
    osmo.pools["default"] = pool({"gpu_platform": platform(default_mounts=["/dev/shm"])})
    assert "is already provided by platform" in osmo_post(shm)[1]["message"]
    osmo.pools["default"] = pool(status="MAINTENANCE")
    assert "undergoing maintenance" in osmo_post()[1]["message"]
    del osmo.pools["default"]
    assert osmo_post()[1] == {"message": "Pool default not found.", "error_code": "USER", "workflow_id": None}


def test_an_older_service_has_datasets_and_no_labels(osmo, osmo_post):
    osmo.versions(service="6.3.1")
    status, expected = osmo_post(task(inputs=[{"dataset": {"name": "bucket/data"}}]))
    assert (status, "Bucket bucket is not set in the configs" in expected["message"]) == (500, True)
    osmo.buckets("bucket")
    assert osmo_post(task(inputs=[{"dataset": {"name": "bucket/data"}}]))[0] == 200
    assert EXTRA in osmo_post(workflow(labels={"a": "b"}))[1]["message"]
    osmo.versions(service="6.0.0")
    assert osmo_post(text=yaml.safe_dump({"workflow": WORKFLOW}) + "extra: 1\n")[0] != 500


def test_a_request_of_the_wrong_form_is_refused_by_the_framework(osmo, osmo_post):
    assert osmo_post(priority="zz")[0] == 422
    answer = osmo.ask("POST", "api/pool/default/workflow", {}, {"file": "x", "zz": 1})
    assert answer.body["detail"][0]["msg"] == "Extra inputs are not permitted"
