"""A stranger's workload is handed over to Azure ML with the image, the environment and the output that it declares."""

from azureml_handed_over import names
from azureml_planned import blobs, payload, settings
from robotrain.job import Job
from robotrain.workload import Container, Outputs, Profile
from robotrain_azureml.platform import AzureML

IMAGE = f"registry.example/choir:1.0@sha256:{'ab' * 32}"
PROFILE = Profile(
    container=Container(image=IMAGE, environment="choir-env"),
    outputs=Outputs(folder="songs", noun="concert"),
    experiment="concerts",
)


def test_it_is_placed_as_it_declares(azureml) -> None:
    azureml.kubernetes()
    job = Job(workload="sing", parameters=(), sources=tuple(blobs()), profile=PROFILE)
    said = settings(**names(azureml))
    plan = AzureML().render(job, said, job.run_name(1), payload(), {"workload.sing": "choir"})
    reference = AzureML().submit(plan)
    [made] = azureml.jobs.values()
    assert made.image == IMAGE
    assert made.body["experimentName"] == "concerts"
    assert made.outputs["songs"].prefix == reference["output"] == f"azureml/{made.name}/songs"
