"""Whether tracking can be reached: asked once, told with the way out."""

import contextlib
import os
import socket
import sqlite3

import pytest
from local_server import QuietHandler, serve
from problem_assertions import check_refusals
from robotrain_runtime.contract.problem import Problem
from robotrain_runtime.tracking import preflight


@pytest.fixture
def server():
    """A server that answers everything with a status: `server(200)` is its address."""
    with contextlib.ExitStack() as servers:

        def begin(status: int) -> str:
            handler = type("Handler", (QuietHandler,), {"do_GET": lambda self: self.answer(status=status)})
            return servers.enter_context(serve(handler))

        yield begin


def find_problems(uri: str) -> list[Problem]:
    return [*preflight.find_address_problems(uri)]


@pytest.mark.parametrize("status", [200, 401])
def test_a_server_that_answers_is_there(server, status):
    assert find_problems(server(status)) == []


def test_a_server_in_trouble_may_be_well_again_later(server):
    (finding,) = find_problems(server(503))
    check_refusals([finding], finding.code)
    assert finding.fault == "network"


def test_a_server_that_is_not_there_is_named_without_what_is_secret_in_its_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (finding,) = find_problems(f"http://me:secret@127.0.0.1:{port}?token=secret")
    check_refusals([finding], finding.code)
    assert (finding.fault, finding.given) == ("network", f"http://127.0.0.1:{port}")


def test_a_database_that_is_there_or_can_be_made(tmp_path):
    assert find_problems(f"sqlite:///{tmp_path}/new/mlflow.db") == []
    with sqlite3.connect(tmp_path / "mlflow.db") as made:
        made.execute("create table t (x)")
    assert find_problems(f"sqlite:///{tmp_path}/mlflow.db") == []


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database at all")
    (finding,) = find_problems(f"sqlite:///{tmp_path}/mlflow.db")
    check_refusals([finding], finding.code)
    assert finding.fault == "configuration"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert find_problems(f"sqlite:///{tmp_path}/locked/mlflow.db")[0].fault == "configuration"


@pytest.mark.parametrize("uri", ["", "azureml://eastus.api.azureml.ms/x"])
def test_what_only_its_own_library_can_reach_is_not_asked(uri):
    assert find_problems(uri) == []


@pytest.mark.parametrize(
    "uri", ["http://me:s3c/ret@127.0.0.1:9", "http://me:s3c?ret@127.0.0.1:9", "http://s3c℀ret@host"]
)
def test_nothing_of_a_password_is_in_what_is_wrong_with_its_address(uri):
    (finding,) = find_problems(uri)
    check_refusals([finding], finding.code)
    assert "s3c" not in str(finding)
