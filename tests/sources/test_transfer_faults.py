"""Bad days of a service: the right bytes come in the end, or a sentence that says what to do. Never other bytes."""

import os
import re

import pytest
from azure_stand_in import Fault
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_sources.fetching.errors import format_error
from transfer_fixtures import cache, deliver, read_tree, shelves

__all__ = ["cache", "deliver", "shelves"]

MIB = 1 << 20
FILES = {"meta/info.json": b"{}", "large.bin": os.urandom(9 * MIB), "empty": b""}
FILES |= {f"data/{number}.bin": os.urandom(50_000) for number in range(40)}


@pytest.fixture
def shelf(shelves) -> str:
    return shelves.put("pusht", FILES)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("large|data", status=429, times=30), id="429"),
        pytest.param(Fault("large|data", status=503, times=30), id="503"),
        pytest.param(Fault("large|data", status=500, times=10), id="500"),
        pytest.param(Fault("data/7", status=401, times=1), id="an expired token"),
        pytest.param(Fault("large|data", reset=True, times=10), id="reset"),
        pytest.param(Fault("large|data", cut=True, times=10), id="cut"),
        pytest.param(Fault("large|data", stall=30.0, times=6), id="stall"),
        pytest.param(Fault("data", latency=30.0, times=2), id="no answer"),
        pytest.param(Fault("large", flip=True, times=2), id="another byte of a large file"),
        pytest.param(Fault("data", flip=True, times=10), id="other bytes of small files"),
    ],
)
@pytest.mark.slow
def test_a_transient_failure_is_retried(shelves, shelf, deliver, fault):
    shelves.faults.append(fault)
    delivery = deliver(shelf)
    (files,) = delivery.folders()
    assert read_tree(files) == FILES
    assert fault.times == 0
    announced = [line for line in delivery.lines if line.startswith("requesting ") and "again: " in line]
    assert bool(announced) >= fault.flip  # obstore repeats others once, without a word
    assert len(announced) <= 1 or fault.stall or fault.latency, "of many a line now and then"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "message", "whose"),
    [
        pytest.param(Fault("data/7", status=403), "pusht: PermissionDeniedError", "configuration", id="403"),
        pytest.param(Fault("data/7", status=401), "pusht: UnauthenticatedError", "configuration", id="401"),
        pytest.param(
            Fault("data/7", status=404), "data/7.bin of .* was deleted .*start the run again", "data", id="404"
        ),
        pytest.param(
            Fault("data/7", status=412), "data/7.bin of .* was changed .*start the run again", "data", id="412"
        ),
        pytest.param(Fault("data/7", status=503), r"no data in 6 tries: pusht", "network", id="503"),
        pytest.param(Fault("large", cut=True, after=1), r"no data in 6 tries: pusht", "network", id="cut"),
        pytest.param(Fault("data/7", reset=True), r"no data in 6 tries: pusht", "network", id="reset"),
        pytest.param(
            Fault("data/7", latency=60),
            r"no data in 6 tries: pusht: TimeoutError: no data for 1 s",
            "network",
            id="stall",
        ),
        pytest.param(Fault("data/7", flip=True), "data/7.bin .* 4 tries .its MD5", "data", id="other bytes"),
        pytest.param(Fault("large", flip=True), "large.bin .* 4 tries .its MD5", "data", id="large, other bytes"),
    ],
)
def test_a_lasting_failure_is_reported_and_the_next_try_continues(
    shelves, shelf, deliver, cache, fault, message, whose
):
    delivery = deliver(shelf)
    assert delivery.survey()[0].problems == ()
    shelves.faults.append(fault)
    with pytest.raises(JobFailed, match=message) as failed:
        delivery.fetch()
    assert failed.value.fault == whose
    assert not [path for path in cache.rglob("manifest.jsonl") if not path.parent.name.endswith(".part")]
    shelves.faults.clear()
    (files,) = deliver(shelf).folders()
    assert read_tree(files) == FILES


@pytest.mark.slow
def test_a_file_that_is_written_again_meanwhile_is_never_mixed(shelves, shelf, deliver):
    changed = {**FILES, "large.bin": os.urandom(9 * MIB)}
    shelves.faults.append(Fault("large", after=1, act=lambda: shelves.put("pusht", changed)))
    delivery = deliver(shelf)
    delivery.survey()
    with pytest.raises(JobFailed, match=r"large.bin of .* was changed while it was fetched: start the run again"):
        delivery.fetch()
    (files,) = deliver(shelf).folders()
    assert read_tree(files) == changed


@pytest.mark.slow
def test_403_at_the_listing_is_found_by_the_survey(shelves, shelf, deliver):
    shelves.faults.append(Fault("/pusht$", status=403))
    other = shelves.put("fine", {"a": b"1"})
    first, second = deliver(shelf, other).survey()
    assert re.match("pusht: HTTPError: HTTP Error 403", summarize_problem(first.problems[0]))
    assert first.fault == "configuration"
    assert (second.problems, second.files, second.size) == ((), 1, 1)


@pytest.mark.slow
def test_a_survey_asks_twice_at_most(shelves, shelf, deliver):
    shelves.faults.append(Fault("/pusht/", status=503))
    (survey,) = deliver(shelf, described=["meta/info.json"]).survey()
    assert survey.fault == "network"
    assert shelves.asked == ["/pusht", "/pusht/meta/info.json", "/pusht/meta/info.json"]


def test_an_error_is_told_without_the_secrets_of_an_address():
    text = "GET https://me:s3c/ret@127.0.0.1:9/x?sig=5ig failed at //me:s3c@host with Bearer t0ken"
    assert format_error(OSError(text)) == "OSError: GET https://127.0.0.1:9/x… failed at //host with …"
    text = (
        '{"upstream":"http://127.0.0.1:5000/api","via":"http://me:s3c@proxy.example:3128"}, file:///x,http://me:s3c@h'
    )
    assert "s3c" not in format_error(OSError(text))
