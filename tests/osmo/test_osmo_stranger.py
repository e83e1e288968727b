"""A third party's workload on OSMO: its resources are requested, and its outputs are found."""

import pytest
from osmo_plans import blobs, payload, settings
from robotrain.model.job import Job
from robotrain.model.workload_profile import Container, OutputProfile, Resources, WorkloadProfile
from robotrain_osmo.platform import OsmoPlatform

PROFILE = WorkloadProfile(
    resources=Resources(cpu=1, memory="1Gi", storage="2Gi", time_limit="45m"),
    container=Container(image="ubuntu:24.04", environment="choir-env"),
    outputs=OutputProfile(folder="songs", noun="concert", complete_file="songs.json", resumable=False),
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
    plan = OsmoPlatform().render(job, settings(pool="default"), job.run_name(1), payload(), {"workload.sing": "choir"})
    reference = OsmoPlatform().submit(plan)
    assert reference["publishes"].endswith("/songs")
    [workflow] = osmo.workflows.values()
    assert workflow.pool == "default"


def test_what_is_kept_nowhere_is_told_in_its_own_words(job) -> None:
    lost = Job(workload="sing", parameters=(("publish_url", None),), sources=job.sources, profile=PROFILE)
    titles = [one.title for one in OsmoPlatform().check(lost, settings())]
    assert any("concert" in title for title in titles)
