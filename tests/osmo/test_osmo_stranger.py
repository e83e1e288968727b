"""A stranger's workload is handed over to OSMO with the machine that it declares, and what it leaves is found again."""

import pytest
from planned import blobs, payload, settings
from robotrain.job import Job
from robotrain.workload import Container, Outputs, Profile, Resources
from robotrain_osmo.platform import Osmo

PROFILE = Profile(
    resources=Resources(cpu=1, memory="1Gi", storage="2Gi", time_limit="45m"),
    container=Container(image="ubuntu:24.04", environment="choir-env"),
    outputs=Outputs(folder="songs", noun="concert", complete_file="songs.json", resumable=False),
)


@pytest.fixture
def job() -> Job:
    return Job(
        workload="sing",
        parameters=(("publish_url", "azure://acc/runs/choir"),),
        sources=tuple(blobs()),
        profile=PROFILE,
    )


def test_it_is_placed_and_its_outputs_are_copied(osmo, job) -> None:
    plan = Osmo().render(job, settings(pool="default"), job.run_name(1), payload(), {"workload.sing": "choir"})
    reference = Osmo().submit(plan)
    assert reference["publishes"].endswith("/songs")
    [workflow] = osmo.workflows.values()
    assert workflow.pool == "default"


def test_what_is_kept_nowhere_is_told_in_its_own_words(job) -> None:
    lost = Job(workload="sing", parameters=(("publish_url", None),), sources=job.sources, profile=PROFILE)
    titles = [one.title for one in Osmo().check(lost, settings())]
    assert "nothing of this concert is kept but what its log says" in titles
