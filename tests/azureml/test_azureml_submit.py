"""Handing a job over with Microsoft's own SDK: what is made, what is kept of it, and what is not let in."""

import dataclasses
import subprocess
import tempfile

import pytest
import yaml
from azureml_workspace_plans import (
    AT,
    ENVIRONMENT,
    IMAGE,
    VERSION,
    list_requests,
    make_submittable_plan,
    submit_rejected,
)
from robotrain.errors import Rejected, format_problem
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.spec import submission_spec
from robotrain_azureml.submit import submit
from robotrain_workloads.rosbag_act_train.workload import ROSBAG_ACT_TRAIN


def with_spec(wanted, change):
    """The same plan with another job."""
    spec = yaml.safe_load(wanted.files["job.yaml"])
    change(spec)
    return dataclasses.replace(wanted, files={**wanted.files, "job.yaml": yaml.safe_dump(spec).encode()})


def read_image(azureml, job) -> str:
    """Read the image of the environment that a job names."""
    environment, _, version = job.body["environmentId"].split("/")[-3:]
    return azureml.ml.environments[environment][version]["image"]


def test_a_job_is_made_with_its_code_and_its_environment(azureml, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    wanted = make_submittable_plan(azureml)
    reference = AZUREML.engine.submit(wanted)
    [job] = azureml.jobs.values()
    assert job.name == reference["job"] == submit.read_job_name(wanted)
    assert job.name.startswith(f"{wanted.run}-")
    assert read_image(azureml, job) == IMAGE
    assert job.outputs["checkpoints"].prefix == reference["output"] == f"azureml/{job.name}/checkpoints"
    container, prefix = job.code
    sent = {
        name.removeprefix(f"{prefix}/"): azureml.store.get(container, name) for name in azureml.store.names(container)
    }
    assert sent == {path.removeprefix("code/"): wanted.files[path] for path in submission_spec.CODE_FILES}
    assert job.body["codeId"] == reference["code"]
    assert not list(tmp_path.glob("robotrain-*"))
    assert capsys.readouterr().err == f"environment {ENVIRONMENT}:{VERSION} was registered with {IMAGE}\n"
    assert len(azureml.sign_in.requests) == 2  # one sign-in, for all that was asked
    assert AZUREML.engine.find(wanted) == reference


def test_the_same_plan_is_the_same_job(azureml):
    wanted = make_submittable_plan(azureml)
    first = AZUREML.engine.submit(wanted)
    azureml.calls.clear()
    assert AZUREML.engine.submit(wanted) == first
    assert len(azureml.jobs) == 1
    assert not [call for call in azureml.calls if call.startswith("PUT") and "blob.core" in call]


@pytest.mark.slow
def test_an_equal_job_of_a_colleague_is_another_one(azureml, tmp_path, monkeypatch):
    wanted = make_submittable_plan(azureml)
    names = set()
    for number in range(2):
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / str(number)))
        names.add(AZUREML.engine.submit(wanted)["job"])
    assert len(names) == 2
    assert set(azureml.jobs) == names


def test_the_name_is_written_down_before_anything_is_asked(azureml):
    wanted, seen = make_submittable_plan(azureml), []
    azureml.at_call(1, act=lambda: seen.append(submit.read_job_name(wanted)))
    reference = AZUREML.engine.submit(wanted)
    assert seen == [reference["job"]]


@pytest.mark.slow
def test_the_local_git_repository_is_not_sent(azureml, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for words in (["init", "-q"], ["remote", "add", "origin", "https://example.com/private.git"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    AZUREML.engine.submit(make_submittable_plan(azureml))
    [job] = azureml.jobs.values()
    assert "private" not in str(job.body)


def test_an_environment_of_the_same_image_is_used(azureml, capsys):
    azureml.environment(ENVIRONMENT, VERSION, IMAGE)
    AZUREML.engine.submit(make_submittable_plan(azureml))
    assert list_requests(azureml, AT) == [f"GET {AT}"]
    assert capsys.readouterr().err == ""


def test_an_environment_of_another_image_stops_everything_before_it_is_sent(azureml):
    azureml.environment(ENVIRONMENT, VERSION, "pytorch/pytorch:2.4.1")
    text = format_problem(submit_rejected(make_submittable_plan(azureml)))
    assert "azureml-environment-differs" in text
    assert "pytorch/pytorch:2.4.1" in text
    assert IMAGE in text
    assert "--environment-version VERSION" in text
    assert list_requests(azureml) == [f"GET {AT}"]


def test_an_environment_that_a_colleague_registers_meanwhile_is_used(azureml):
    azureml.fault(
        f"PUT .*{AT}", act=lambda: azureml.environment(ENVIRONMENT, VERSION, IMAGE), status=409, code="Conflict"
    )
    AZUREML.engine.submit(make_submittable_plan(azureml))
    assert len(azureml.jobs) == 1


def test_a_job_that_the_sdk_refuses_is_reported_with_the_keys(azureml):
    def change(spec):
        spec |= {"colour": "red", "limits": {"timeout": "long"}}
        spec["resources"]["nonsense"] = 1
        spec["inputs"] = {"mine": {"type": "uri_folder", "mode": "rw", "path": "azureml:a:1"}}

    text = format_problem(submit_rejected(with_spec(make_submittable_plan(azureml), change)))
    assert "[plan-unreadable]" in text
    assert "az ml job create -f FOLDER/job.yaml" in text
    assert "CommandJobSchema failed" in text
    assert azureml.calls == []


@pytest.mark.parametrize("path", [submission_spec.SUBMISSION_FILE, submission_spec.START_FILE])
def test_a_plan_that_lacks_a_part_is_reported(azureml, path):
    wanted = make_submittable_plan(azureml)
    files = {name: content for name, content in wanted.files.items() if name != path}
    problem = submit_rejected(dataclasses.replace(wanted, files=files))
    assert (problem.code, problem.why) == ("plan-unreadable", f"It lacks {path}.")


def test_a_refused_job_is_forgotten(azureml):
    azureml.deny("PUT /jobs/")
    wanted = make_submittable_plan(azureml)
    text = format_problem(submit_rejected(wanted))
    assert "[platform-forbidden]" in text
    assert "az role assignment create --assignee" in text
    assert '--role "AzureML Data Scientist"' in text
    assert not azureml.jobs
    assert submit.read_job_name(wanted) == ""


def test_a_workspace_that_cannot_be_read_is_reported(azureml):
    wanted = make_submittable_plan(azureml)
    AZUREML.engine.submit(wanted)
    azureml.deny("GET /jobs/")
    with pytest.raises(Rejected):
        AZUREML.engine.find(wanted)


def test_nothing_is_asked_of_a_plan_that_was_never_handed_over(azureml):
    assert AZUREML.engine.find(make_submittable_plan(azureml)) is None
    assert azureml.calls == []


PUBLIC = ROSBAG_ACT_TRAIN.profile.container.image
PREBUILT = "registry.example/team/rosbag-act-train:1"
TOPICS = ("--environment-state-topic", "/keypoints", "--action-topic", "/action")


@pytest.mark.slow
@pytest.mark.parametrize(("words", "image"), [((), PUBLIC), (("--image", PREBUILT), PREBUILT)])
def test_bags_are_sent_with_the_environment_at_start_or_in_an_image(observing, robotrain, name_workspace, words, image):
    observing.kubernetes("k8s-robots")
    observing.store.put(observing.container, {"bags/1/ep0/ep0_0.db3": b"a bag", "bags/1/ep0/metadata.yaml": b"{}"})
    observing.data("bags", 1, "bags/1")
    name_workspace(observing, "k8s-robots")
    data = ("--dataset-asset", "azureml:bags:1", *TOPICS)
    answer = robotrain("submit", "rosbag-act-train", "--platform", "azureml", *data, *words, "--json")
    assert answer.exit_code == 0, answer.stderr
    (job,) = observing.jobs.values()
    assert read_image(observing, job) == image
    assert "/environments/lerobot-training-env/" in str(job.body)
