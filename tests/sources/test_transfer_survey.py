"""The look at all sources before anything big is fetched: everything that is wrong at once, and no secret told."""

import errno
import os
from pathlib import Path

import pytest
from azure_stand_in import Fault
from problem_assertions import check_refusals
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_sources.fetching import errors
from transfer_fixtures import cache, deliver, process, read_line, read_tree, shelves

__all__ = ["cache", "deliver", "process", "shelves"]

FILES = {"meta/info.json": b"{}", "data/1.bin": os.urandom(5000)}
SECRET = "s3cretS3cretS3cret"


def test_everything_that_is_wrong_is_found_at_once(shelves, deliver, cache):
    shelves.faults.append(Fault("/refused/", status=403))
    shelves.listed["evil"] = [("../../evil", 1)]
    shelves.listed["both"] = [("a", 1), ("a/b", 1)]
    uris = [shelves.put(shelf, FILES) for shelf in ("fine", "refused", "evil", "both")]
    delivery = deliver(*uris, shelves.address("empty"), "http://127.0.0.1:1/nowhere")
    surveys = delivery.survey()
    text = [" ".join(map(summarize_problem, survey.problems)) for survey in surveys]
    assert text[0] == ""
    assert "refused: PermissionDeniedError" in text[1]
    assert "the name '../../evil' leads out of the folder" in text[2]
    assert "'a' is both a file and the folder of 'a/b'" in text[3]
    assert text[4] == "empty is empty"
    assert "Connection refused" in text[5]
    assert [survey.fault for survey in surveys] == ["", "configuration", "data", "data", "data", "network"]
    assert len([path for path in shelves.asked if path.startswith("/refused/")]) == 1
    delivery.made.close()
    assert not (cache / "data").exists()


@pytest.mark.slow
def test_nothing_is_fetched_when_one_source_is_wrong(shelves, deliver):
    delivery = deliver(shelves.put("fine", FILES), shelves.address("empty"))
    delivery.survey()
    with pytest.raises(JobFailed, match="empty is empty"):
        delivery.fetch()
    assert "/fine/meta/info.json" in shelves.asked  # the byte that was looked at
    assert "/fine/data/1.bin" not in shelves.asked


@pytest.mark.slow
def test_data_that_is_not_what_was_pinned_is_not_fetched(shelves, deliver):
    uri = shelves.put("pusht", FILES)
    (survey,) = deliver(uri, pin="0123").survey()
    assert list(map(summarize_problem, survey.problems)) == ["pusht is not what it was"]
    (right,) = deliver(uri).survey()
    assert deliver(uri, pin=right.digest).survey()[0].problems == ()


@pytest.mark.slow
def test_what_is_pinned_and_lies_here_needs_no_network(shelves, deliver):
    uri = shelves.put("pusht", FILES)
    (survey,) = deliver(uri).survey()
    (files,) = deliver(uri, pin=survey.digest).folders()
    shelves.asked.clear()
    delivery = deliver(uri, pin=survey.digest, described=["meta/info.json"])
    (here,) = delivery.survey()
    assert (here.files, here.size, here.missing, here.digest) == (2, 5002, 0, survey.digest)
    assert read_tree(here.description_folder) == {"meta/info.json": b"{}"}
    assert delivery.fetch() == [files]
    assert shelves.asked == []


@pytest.mark.slow
def test_what_lay_here_and_is_gone_when_it_is_wanted_is_fetched(shelves, deliver):
    uri = shelves.put("pusht", FILES)
    (survey,) = deliver(uri).survey()
    (files,) = deliver(uri, pin=survey.digest).folders()
    delivery = deliver(uri, pin=survey.digest)
    assert delivery.survey()[0].missing == 0
    files.parent.rename(files.parent.with_name("evicted"))
    assert list(map(read_tree, delivery.fetch())) == [FILES]


@pytest.mark.slow
def test_a_secret_is_read_from_its_file_and_told_to_nobody(shelves, deliver, cache, tmp_path):
    credential = tmp_path / "token"
    credential.write_text(SECRET)
    uri = shelves.put("pusht", FILES)
    seen: list[str] = []
    shelves.faults.append(Fault("/pusht/data", status=403, act=lambda: seen.append(commands())))
    delivery = deliver(uri, credentials={"shelf": str(credential)})
    assert delivery.survey()[0].problems == ()
    with pytest.raises(JobFailed) as failed:
        delivery.fetch()
    text = " ".join([failed.value.reason, *delivery.lines, *seen])
    assert seen
    content = b"".join(path.read_bytes() for path in cache.rglob("*") if path.is_file())
    assert SECRET not in text
    assert SECRET.encode() not in content


@pytest.mark.slow
def test_a_file_takes_less_than_a_kib_of_memory(shelves, process):
    shelves.tells = ("version",)
    peaks = []
    for count in (1_000, 20_000):
        started = process(shelves.address(f"n{count}"), mib=16)
        files = Path(read_line(started, "folder"))
        assert sum(1 for _ in files.rglob("*.bin")) == count
        peaks.append(peak(started.pid))
    assert (peaks[1] - peaks[0]) * 1024 < 19_000, peaks


@pytest.mark.slow
def test_a_large_file_takes_no_more_memory_than_it_may(shelves, process):
    started = process(shelves.put("large", {"large.bin": os.urandom(200 << 20)}), mib=16)
    read_line(started, "going")
    before = peak(started.pid)
    read_line(started, "folder")
    assert peak(started.pid) - before < 64


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (MemoryError(), "out_of_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory"),
        (OSError(errno.ESTALE, "Stale file handle", "/cache/a"), "network"),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), "network"),
        (OSError(errno.ENOSPC, "No space left", "/cache/a"), "disk_full"),
        (OSError(errno.ENOSPC, "No space left", "/small/a"), "disk_full"),
        (OSError(errno.EACCES, "Permission denied"), ""),
    ],
)
def test_what_the_machine_lacks_is_told_with_whose_fault_it_is(error, fault):
    refused = errors.make_fetch_error(error, Path("/cache"))
    check_refusals(refused, f"fetch-error {fault}".rstrip())
    assert refused.fault == fault


def commands() -> str:
    """What everybody on this machine can read of its processes."""
    lines = []
    for folder in os.listdir("/proc"):
        try:
            with open(f"/proc/{folder}/cmdline", "rb") as result:
                lines.append(result.read().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return " ".join(lines)


def peak(pid: int) -> float:
    """The most memory that a process has had, in MiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
