"""Which process is which."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from robotrain_local import process, process_list


@pytest.fixture
def sleeping_process() -> Iterator["subprocess.Popen[bytes]"]:
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield started
    started.kill()
    started.wait()


def test_a_process_is_alive_until_it_ends_even_if_nobody_waited_for_it(
    sleeping_process: "subprocess.Popen[bytes]",
) -> None:
    identity = process_list.identify_process(sleeping_process.pid)
    assert identity.birth
    assert process_list.is_alive(identity)
    sleeping_process.kill()
    end = time.monotonic() + 60
    while process_list.get_birth(sleeping_process.pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert not process_list.get_birth(sleeping_process.pid)  # a zombie now
    sleeping_process.wait()
    assert not process_list.is_alive(identity)


def test_a_later_process_of_the_same_number_is_another_one(sleeping_process: "subprocess.Popen[bytes]") -> None:
    earlier = replace(process_list.identify_process(sleeping_process.pid), birth="long ago")
    assert not process_list.is_alive(earlier)


def test_a_process_that_could_not_be_identified_is_not_alive() -> None:
    assert not process_list.is_alive(process.Process(2**22 + 1, "", 0))


def test_a_session_holds_its_leader_and_not_us(sleeping_process: "subprocess.Popen[bytes]") -> None:
    assert process_list.list_session(sleeping_process.pid) == [sleeping_process.pid]
    assert os.getpid() not in process_list.list_session(sleeping_process.pid)


UNKNOWN = {"pid": 1, "birth": "", "started": 0.0, "host": {}}


@pytest.mark.parametrize("data", [None, {}, {"pid": "x", "birth": "", "started": 0}, UNKNOWN | {"pid": -1}])
def test_facts_that_name_no_process_are_none(data: dict[str, object] | None) -> None:
    assert process.parse_process(data) is None


def test_the_processes_of_a_run_are_found_by_its_supervisor_and_told_apart_by_who_started_whom(
    sleeping_process: "subprocess.Popen[bytes]",
) -> None:
    supervisor = process_list.identify_process(sleeping_process.pid)
    assert process_list.list_run_processes(supervisor, Path.cwd()) == [sleeping_process.pid]
    assert process_list.find_heads([sleeping_process.pid, os.getpid()]) == [os.getpid()]
    assert process_list.find_heads([sleeping_process.pid]) == [sleeping_process.pid]


def test_nothing_of_a_run_is_found_on_another_machine_or_after_a_restart(
    sleeping_process: "subprocess.Popen[bytes]",
) -> None:
    supervisor = process_list.identify_process(sleeping_process.pid)
    elsewhere = replace(supervisor, host=replace(supervisor.host, name="desk", boot="another"))
    restarted = replace(supervisor, host=replace(supervisor.host, boot="earlier"))
    assert (
        process_list.list_run_processes(elsewhere, Path.cwd())
        == process_list.list_run_processes(restarted, Path.cwd())
        == []
    )
    assert not process_list.is_alive(elsewhere)
    assert restarted.is_host_restarted


def test_of_a_number_that_another_process_has_now_nothing_is_found(sleeping_process: "subprocess.Popen[bytes]") -> None:
    assert (
        process_list.list_run_processes(
            replace(process_list.identify_process(sleeping_process.pid), birth="long ago"), Path.cwd()
        )
        == []
    )


def test_facts_survive_being_written_down(sleeping_process: "subprocess.Popen[bytes]") -> None:
    identity = process_list.identify_process(sleeping_process.pid)
    assert process.parse_process(json.loads(json.dumps(dataclasses.asdict(identity)))) == identity
