"""Fetched data in the cache: complete or not there, once for all who want it, and gone on with after a kill."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from azure_stand_in import Fault
from robotrain_runtime.contract.failure import JobFailed
from transfer_fixtures import cache, deliver, process, read_line, read_tree, shelves

__all__ = ["cache", "deliver", "process", "shelves"]

MIB = 1 << 20
FILES = {"meta/info.json": b'{"fps": 10}', "large.bin": os.urandom(20 * MIB), "empty": b""}
FILES |= {f"data/{number}.bin": os.urandom(50_000) for number in range(60)}
SMALL = {"meta/info.json": b'{"fps": 10}', "data/1.bin": os.urandom(5000)}


def wait_for(condition) -> None:
    while not condition():
        time.sleep(0.01)


@pytest.mark.slow
def test_the_same_data_is_fetched_once_wherever_it_is_named(shelves, deliver, cache):
    uri = shelves.put("pusht", SMALL)
    first = deliver(uri, uri, described=["meta/info.json", "meta/none.json"])
    surveys = first.survey()
    assert [(survey.files, survey.size) for survey in surveys] == [(2, sum(map(len, SMALL.values())))] * 2
    assert surveys[0].missing > 0
    assert read_tree(surveys[0].description_folder) == {"meta/info.json": SMALL["meta/info.json"]}
    files, again = first.fetch()
    assert files == again
    assert read_tree(files) == SMALL
    first.made.close()
    assert not surveys[0].description_folder.exists()
    shelves.asked.clear()
    second = deliver(uri, described=["meta/info.json"])
    (there,) = second.survey()
    assert (there.missing, there.digest) == (0, surveys[0].digest)
    assert read_tree(there.description_folder) == {"meta/info.json": SMALL["meta/info.json"]}
    assert second.fetch() == [files]
    assert shelves.asked == ["/pusht"]
    assert files == cache / "data/shelf/pusht" / there.digest / "files"


def test_the_manifest_says_what_came(shelves, deliver):
    (files,) = deliver(shelves.put("pusht", {"b": b"2", "a": b"1"})).folders()
    head, *lines = map(json.loads, (files.parent / "manifest.jsonl").read_text().splitlines())
    assert (head["files"], head["size"]) == (2, 2)
    sha256 = {line["name"]: line["sha256"] for line in lines}
    assert sorted(sha256) == ["a", "b"]
    assert sha256["a"] == "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"


@pytest.mark.slow
def test_all_sources_are_fetched_together_and_told_as_they_come(shelves, deliver):
    shelves.faults.append(Fault("large", latency=0.2))
    uris = [shelves.put(f"s{number}", {**FILES, "which": bytes([number])}) for number in range(3)]
    delivery = deliver(*uris)
    assert [read_tree(files)["which"] for files in delivery.folders()] == [b"\0", b"\1", b"\2"]
    total = 3 * (sum(map(len, FILES.values())) + 1)
    assert {far.total for far in delivery.progress} == {total}
    done = [far.done for far in delivery.progress]
    assert done == sorted(done)
    assert done[-1] == total
    assert delivery.lines[0].startswith("fetching 192 files of 3 sources: 71.9 MB")
    assert "192 files, each one verified" in delivery.lines[-1]


@pytest.fixture
def part(shelves, deliver, cache) -> Path:
    """The folder of a try that was refused a file, of a service that tells no digests, after the rest had arrived."""
    shelves.tells = ("version",)
    delivery = deliver(shelves.put("pusht", SMALL))
    shelves.faults.append(Fault("data/1", status=403, latency=1.0))
    delivery.survey()
    with pytest.raises(JobFailed):
        delivery.fetch()
    delivery.made.close()
    shelves.faults.clear()
    shelves.asked.clear()
    (part,) = cache.rglob("*.part")
    assert read_tree(part / "files") == {"meta/info.json": SMALL["meta/info.json"]}
    return part


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["", "other bytes", "a link", "no record", "half a record"])
def test_what_an_earlier_try_left_is_used_if_it_is_as_it_was_recorded(shelves, deliver, part, tmp_path, harm):
    file, record = part / "files/meta/info.json", part / "arrived.jsonl"
    if harm == "other bytes":
        file.write_bytes(b'{"fps": 11}')
    elif harm == "a link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif harm == "no record":
        record.unlink()
    elif harm == "half a record":
        os.truncate(record, record.stat().st_size // 2)
    (files,) = deliver(shelves.address("pusht")).folders()
    assert read_tree(files) == SMALL
    assert not (files / "meta/info.json").is_symlink()
    assert shelves.asked.count("/pusht/meta/info.json") == 1 + bool(harm), "the survey reads a byte"


@pytest.mark.slow
def test_of_a_damaged_folder_only_what_is_not_whole_needs_room(shelves, deliver):
    uri = shelves.put("pusht", SMALL)
    (files,) = deliver(uri).folders()
    os.truncate(files / "data/1.bin", 1)
    (survey,) = deliver(uri).survey()
    assert 5000 <= survey.missing <= 8192


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["shorter", "missing", "no manifest", "half a manifest"])
def test_damaged_data_is_fetched_again(shelves, deliver, harm):
    uri = shelves.put("pusht", SMALL)
    (files,) = deliver(uri).folders()
    manifest = files.parent / "manifest.jsonl"
    if harm == "shorter":
        os.truncate(files / "data/1.bin", 1)
    elif harm == "half a manifest":
        os.truncate(manifest, manifest.stat().st_size // 2)
    else:
        (files / "data/1.bin" if harm == "missing" else manifest).unlink()
    delivery = deliver(uri)
    assert list(map(read_tree, delivery.folders())) == [SMALL]
    assert "was changed or damaged" in delivery.lines[0]


@pytest.mark.slow
def test_of_two_that_want_the_same_one_fetches_and_the_other_waits(shelves, process, cache):
    uris = [shelves.put("one", FILES), shelves.put("two", SMALL)]
    shelves.faults.append(Fault("large", latency=1.0, times=1))
    both = [process(*uris), process(*reversed(uris))]
    folders = {tuple(sorted((read_line(program, "folder"), read_line(program, "folder")))) for program in both}
    assert len(folders) == 1
    requests = [path for path in shelves.asked if path.startswith("/one/data/")]
    assert len(requests) == len(set(requests)) == 60
    third = process(uris[0])  # while both go on using it
    assert read_line(third, "folder") in next(iter(folders))


@pytest.mark.slow
def test_when_whoever_asked_is_killed_the_next_goes_on(shelves, process, deliver):
    uri = shelves.put("pusht", FILES)
    slow = Fault("large|data/5", latency=60.0)
    shelves.faults.append(slow)
    first = process(uri)
    read_line(first, "going")
    wait_for(lambda: sum(path.startswith("/pusht/data") for path in shelves.asked) > 40)
    read_line(first, "came")
    read_line(first, "came")
    first.kill()
    first.wait()
    shelves.faults.clear()
    shelves.asked.clear()
    delivery = deliver(uri)
    assert list(map(read_tree, delivery.folders())) == [FILES]
    assert any("from an earlier try" in line for line in delivery.lines)
    assert len(shelves.asked) < 40


@pytest.mark.slow
def test_killed_at_random_moments_the_right_bytes_come_in_the_end(shelves, process, cache):
    chance = random.Random(4)
    for number in range(8):
        content = {**FILES, "which": bytes([number])}
        shelves.faults[:] = [Fault("large|data", latency=0.02), Fault("data", cut=True, times=3)]
        uri = shelves.put("pusht", content)
        kills = 0
        while True:
            started = process(uri)
            read_line(started, "going")
            if kills < 2:
                time.sleep(chance.uniform(0.0, 0.6))
                started.kill()
                kills += 1
            result = started.communicate("")[0]
            if match := re.search(r"^folder (.*)$", result, re.MULTILINE):
                break
            assert started.returncode == -signal.SIGKILL, result
        assert read_tree(Path(match[1])) == content
    assert len(list(cache.rglob("manifest.jsonl"))) == 8
    assert not list(cache.rglob("*.part"))


@pytest.mark.slow
def test_what_an_earlier_try_left_is_believed_only_when_it_is_still_so(shelves, deliver, cache):
    uri = shelves.put("pusht", FILES)
    shelves.faults.append(Fault("data/", status=403, after=40))  # more than threads: some have arrived
    shelves.faults.append(Fault("large", latency=60.0, after=2))
    delivery = deliver(uri)
    delivery.survey()
    with pytest.raises(JobFailed, match="PermissionDenied"):
        delivery.fetch()
    (part,) = cache.rglob("*.part")
    left = [*(part / "files/data").iterdir()]
    for path in left[::2]:
        path.write_bytes(b"\0" * 50_000)  # the size is right
    (part / "files/large.bin").write_bytes(b"\0" * 20 * MIB)
    shelves.faults.clear()
    assert list(map(read_tree, deliver(uri).folders())) == [FILES]


@pytest.mark.slow
def test_a_stop_ends_a_transfer_at_once(shelves, deliver):
    class Stopped(Exception):
        pass

    def stop(number: int, frame: object) -> None:
        raise Stopped

    shelves.faults.append(Fault("data/", latency=60.0))
    uri = shelves.put("pusht", SMALL)
    delivery = deliver(uri)
    delivery.survey()
    before = signal.signal(signal.SIGUSR1, stop)
    main = threading.get_ident()
    times: list[float] = []
    shelves.faults[0].act = lambda: (times.append(time.monotonic()), signal.pthread_kill(main, signal.SIGUSR1))
    try:
        with pytest.raises(Stopped):
            delivery.fetch()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - times[0] < 1.0
    shelves.faults.clear()
    assert list(map(read_tree, deliver(uri).folders())) == [SMALL]


@pytest.mark.slow
def test_close_from_another_thread_ends_a_transfer(shelves, deliver):
    delivery = deliver(shelves.put("pusht", SMALL))
    delivery.survey()
    closing = threading.Thread(target=delivery.made.close)
    shelves.faults.append(Fault("data/", latency=60.0, act=closing.start))
    with pytest.raises(JobFailed, match="stopped"):
        delivery.fetch()
    closing.join()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root makes a small disk")
def test_a_disk_that_fills_up_is_told_and_the_room_given_back(shelves, deliver, cache):
    cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", cache], check=True)
    try:
        uri = shelves.put("pusht", SMALL)
        shelves.files["pusht"] = dict(SMALL, **{"data/1.bin": os.urandom(8 * MIB)})
        delivery = deliver(uri)
        assert delivery.survey()[0].problems == ()
        (cache / "somebody").write_bytes(b"\0" * (75 * MIB))  # since the survey
        with pytest.raises(
            JobFailed, match=r"the disk of .* is full: free some space, or set ROBOTRAIN_CACHE"
        ) as failed:
            delivery.fetch()
        assert failed.value.fault == "disk_full"
        assert not list(cache.rglob("*.part"))
    finally:
        subprocess.run(["umount", cache], check=True)
