"""A stranger's workload is handed over to Azure ML with the image, the environment and the output that it declares."""

from azureml_planned import blobs, payload, settings
from robotrain.model.job import Job
from robotrain.model.workload import Container, OutputProfile, WorkloadProfile
from robotrain_azureml.platform import AzureMLPlatform

IMAGE = f"registry.example/choir:1.0@sha256:{'ab' * 32}"
PROFILE = WorkloadProfile(
    container=Container(image=IMAGE, environment="choir-env"),
    outputs=OutputProfile(folder="songs", noun="concert"),
    experiment="concerts",
)


def test_it_is_placed_as_it_declares(azureml) -> None:
    azureml.kubernetes()
    job = Job(workload="sing", parameters=(), sources=tuple(blobs()), profile=PROFILE)
    said = settings(**azureml.settings)
    plan = AzureMLPlatform().render(job, said, job.run_name(1), payload(), {"workload.sing": "choir"})
    reference = AzureMLPlatform().submit(plan)
    [made] = azureml.jobs.values()
    assert made.image == IMAGE
    assert made.body["experimentName"] == "concerts"
    assert made.outputs["songs"].prefix == reference["output"] == f"azureml/{made.name}/songs"
