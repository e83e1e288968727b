"""Runs that do what a test says."""

import threading
import time

import pytest
from scripted import Scripted


@pytest.fixture
def scripted(tmp_path, install):
    """Make runs on scripted platforms: `scripted.run("train-1", "a line", Metrics(…), state="failed")`."""
    return Scripted(tmp_path / "pluto", install)


@pytest.fixture
def soon():
    """Do things one after the other while the test goes on: `soon(lambda: run.log("a line"), …)`."""
    threads = []

    def later(*deeds):
        def work():
            for deed in deeds:
                time.sleep(0.1)
                deed()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield later
    for thread in threads:
        thread.join()
