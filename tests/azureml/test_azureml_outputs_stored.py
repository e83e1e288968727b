"""A job's log and its checkpoints in real storage: Azurite, by signed addresses and by this machine's own sign-in."""

import pytest
from azure_stand_in.ml.azureml import AzureML as Workspace
from azureml_observed import OUTPUT, Observed, sealed
from robotrain_azureml.platform import AzureMLPlatform
from robotrain_azureml.service import jobs
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Published

pytestmark = pytest.mark.slow


@pytest.fixture
def stored(azureml_stored: Workspace) -> Workspace:
    """The workspace, for one who asks for the first time."""
    jobs.get_client.cache_clear()
    jobs.region_hosts.clear()
    return azureml_stored


def test_a_log_is_read_by_ranges(stored):
    run = Observed(stored).set_native_state("Running")
    assert run.logs() == []
    lines = [f"line {number} \u20ac" for number in range(20_000)]
    run.say(*lines)
    assert run.logs() == lines
    assert run.logs(tail=3) == lines[-3:]
    following = AzureMLPlatform().logs(run.reference, True, 1)
    assert next(following) == lines[-1]
    run.say("more").set_native_state("Completed")
    assert list(following) == ["more"]


def test_a_checkpoint_is_listed_and_brought_whole(stored, tmp_path):
    run = Observed(stored)
    run.left(400)
    run.set_native_state("Running", "Completed")
    (one,) = (output for output in run.outputs() if output.step == 400)
    assert one.uri.endswith(f"/datastores/workspaceblobstore/paths/{OUTPUT}/000400")
    AzureMLPlatform().download(run.reference, one, tmp_path / "000400")
    assert checkpoint.validate_checkpoint(tmp_path / "000400") == ""


def test_one_that_was_published_elsewhere_is_brought_with_robotrains_own_transfer(stored, tmp_path):
    place = f"https://{stored.account}.blob.core.windows.net/elsewhere/pusht"
    stored.store.put("elsewhere", {f"pusht/000200/{name}": content for name, content in sealed(200).items()})
    run = Observed(stored, publishes=place)
    run.tell(Published(step=200, to=f"{place}/000200"))
    run.set_native_state("Running", "Completed")
    (one,) = (output for output in run.outputs() if output.step == 200)
    AzureMLPlatform().download(run.reference, one, tmp_path / "000200")
    assert checkpoint.validate_checkpoint(tmp_path / "000200") == ""
