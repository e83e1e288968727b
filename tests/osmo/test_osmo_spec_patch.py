"""`--spec-patch` on OSMO: what has no option is merged into the workflow, and the service reads it in the dry run."""

import json

import pytest
import yaml
from robotrain.store import plans, records

JOB = (
    *("--platform", "osmo", "--pool", "default", "-d", f"lerobot/pusht@{'a' * 40}"),
    *("--training-steps", "10", "--tracking-uri", "none"),
)
TIMEOUT = "workflow:\n  timeout: {exec_timeout: 3h}\n"


@pytest.fixture
def patch(tmp_path):
    """Write a patch, and return the words of its option: `patch("workflow: …")`."""

    def write(content: str) -> tuple[str, str]:
        (tmp_path / "patch.yaml").write_text(content)
        return ("--spec-patch", str(tmp_path / "patch.yaml"))

    return write


def read_workflow(run: str) -> dict:
    return yaml.safe_load(plans.read_stored_plan(run).plan.files["workflow.yaml"])["workflow"]


def test_workflow_is_patched_sent_and_kept(osmo, robotrain, patch):
    words = patch(TIMEOUT)
    plain = robotrain("submit", "--no-pin", *JOB, "--json").json["run"]
    sent = robotrain("submit", "--no-pin", *JOB, *words, "--json")
    assert sent.exit_code == 0, sent.stderr
    run = sent.json["run"]
    assert (sent.json["new"], run != plain) == (True, True), "another patch is another run"
    assert osmo.workflows[f"{run}-1"].spec["timeout"]["exec_timeout"] == "PT3H"
    assert robotrain("submit", "--no-pin", *JOB, *words, "--json").json == {**sent.json, "new": False}
    again = robotrain("resubmit", run, "--new", "--json").json["run"]
    changed = robotrain("resubmit", run, "--set", "seed=7", "--json").json["run"]
    assert {read_workflow(plan)["timeout"]["exec_timeout"] for plan in (again, changed)} == {"3h"}
    dropped = robotrain("resubmit", run, "--set", "spec_patch=none", "--json")
    assert "spec_patch" in dropped.stderr
    assert records.read_record(dropped.json["run"]).settings["spec_patch"] is None
    elsewhere = robotrain("resubmit", run, "--platform", "local", "--dry-run")
    assert "spec_patch" in elsewhere.stderr, "nothing is lost in silence"


def test_resource_is_added_and_a_key_is_removed(osmo, robotrain, patch):
    words = patch("workflow:\n  resources: {default: {nodesExcluded: [bad-1], platform: null}}\n")
    answer = robotrain("render", *JOB, *words, "--json")
    workflow = yaml.safe_load(answer.json["files"]["workflow.yaml"]["text"])["workflow"]
    resource = workflow["resources"]["default"]
    assert resource["nodesExcluded"] == ["bad-1"]
    assert "platform" not in resource
    assert "gpu" in resource


def test_service_reads_the_patched_workflow_in_the_dry_run(osmo, robotrain, patch):
    words = patch("extra: {}\n")
    answer = robotrain("submit", "--no-pin", *JOB, *words, "--dry-run")
    answer.check_problems(4, "default-used", "nothing-kept", "spec-patch-refused --spec-patch")
    assert osmo.workflows == {}


@pytest.mark.parametrize(
    ("content", "code", "named"),
    [
        ("workflow: {name: mine}", "spec-patch-refused", "workflow.name"),
        ("workflow: {tasks: []}", "spec-patch-refused", "workflow.tasks"),
        ("workflow: {groups: [{name: a}]}", "spec-patch-refused", "workflow.groups"),
        ("workflow: null", "spec-patch-refused", "workflow.name"),
        ("default-values: {a: b}", "spec-patch-refused", "default-values"),
        *((f"workflow: {{labels: {{a: '{text} x'}}}}", "spec-patch-refused", text) for text in ("{{", "{%", "{#")),
        ("workflow: {labels: {a: ghp_" + "a1B2" * 9 + "}}", "secret-in-job", "--spec-patch"),
        ("- a", "file-malformed", "--spec-patch"),
        ("a: b: c", "file-malformed", "--spec-patch"),
        ("a: 1\na: 2", "file-malformed", "repeated"),
        ("", "file-malformed", "--spec-patch"),
    ],
)
def test_patch_is_refused(osmo, robotrain, patch, content, code, named):
    answer = robotrain("render", *JOB, *patch(content))
    assert answer.exit_code in (2, 3)
    assert f"[{code}]" in answer.stderr
    assert named in answer.stderr
    assert "ghp_a1B2a1B2" not in answer.stderr


@pytest.mark.parametrize("place", ["job file", "robotrain.toml", "environment", "other platform", "missing file"])
def test_patch_is_given_on_the_line_of_a_platform_that_takes_one(osmo, robotrain, patch, monkeypatch, tmp_path, place):
    option, file = patch(TIMEOUT)
    monkeypatch.chdir(tmp_path)
    words = [*JOB]
    if place == "job file":
        (tmp_path / "job.yaml").write_text(f"workload: lerobot-train\nplatforms: {{osmo: {{spec_patch: {file}}}}}\n")
        words.insert(0, "job.yaml")
    elif place == "robotrain.toml":
        (tmp_path / "robotrain.toml").write_text(f"[platforms.osmo]\nspec_patch = {json.dumps(file)}\n")
    elif place == "environment":
        monkeypatch.setenv("ROBOTRAIN_SPEC_PATCH", file)
    elif place == "other platform":
        words = ["--platform", "local", "-d", "lerobot/pusht", option, file]
    else:
        words += [option, "missing.yaml"]
    codes = {"other platform": "option-unknown", "missing file": "file-unreadable"}
    answer = robotrain("render", *words)
    assert answer.exit_code == 2, answer.stderr
    assert f"[{codes.get(place, 'setting-not-trusted')}]" in answer.stderr
    assert option in answer.stderr


def test_saved_job_file_names_the_option_that_it_cannot_hold(osmo, robotrain, patch, tmp_path):
    answer = robotrain("render", *JOB, *patch(TIMEOUT), "--save-as", tmp_path / "job.yaml")
    assert answer.exit_code == 0, answer.stderr
    assert "--spec-patch is not in it" in answer.stderr
    text = (tmp_path / "job.yaml").read_text()
    assert "# A file cannot hold --spec-patch" in text
    assert "spec_patch" not in text


def test_step_of_a_pipeline_takes_none(osmo, robotrain, patch, tmp_path, monkeypatch):
    monkeypatch.setenv("OSMO_POOL", "default")
    file = tmp_path / "pipeline.yaml"
    step = f"{{workload: lerobot-train, sources: {{dataset: [{{huggingface: lerobot/pusht@{'a' * 40}}}]}}}}"
    file.write_text(f"steps:\n  train: {step}\n")
    words = ("--platform", "osmo", "--set", f"train.spec_patch={patch(TIMEOUT)[1]}")
    answer = robotrain("pipeline", "submit", file, *words, "--native-only", "--no-pin")
    assert answer.exit_code in (2, 3), answer.stderr
    assert "spec-patch" in answer.stderr
