"""A third party's workload on OSMO is described in its own words."""

from osmo_plans import blobs, payload, settings
from robotrain.model.job import Job
from robotrain.model.workload_profile import OutputProfile, WorkloadProfile
from robotrain_osmo.platform import OsmoPlatform


def test_warning_about_lost_outputs_has_the_word_of_the_workload() -> None:
    profile = WorkloadProfile(outputs=OutputProfile(folder="songs", noun="concert", complete_file="songs.json"))
    job = Job(workload="sing", parameters=(("publish_url", None),), sources=tuple(blobs()), profile=profile)
    assert any("concert" in problem.title for problem in OsmoPlatform().check(job, settings()))


def test_its_outputs_are_copied_under_the_name_of_its_folder(osmo) -> None:
    profile = WorkloadProfile(outputs=OutputProfile(folder="songs", noun="concert", complete_file="songs.json"))
    parameters = (("publish_url", "azure://acc/runs/choir"),)
    job = Job(workload="sing", parameters=parameters, sources=tuple(blobs()), profile=profile)
    plan = OsmoPlatform().render(job, settings(pool="default"), job.run_name(1), payload(), {"workload.sing": "choir"})
    assert OsmoPlatform().submit(plan)["publishes"].endswith("/songs")
