"""Answers of Azure's resource manager that are not what it documents, or that come byte by byte."""

import importlib
import socketserver
import threading
import time
from contextlib import suppress

import pytest
from robotrain_azure import errors
from robotrain_azure.arm import UNREADABLE, Answer, ArmError, StorageError, make_no_answer_error, parse_answer
from robotrain_azure.workspace import Workspace
from robotrain_azureml.service.datastore import translate_errors
from robotrain_runtime.contract import deadline
from robotrain_runtime.contract.deadline import DeadlineExceeded, read_pieces
from robotrain_sources.fetching import azure_sign_in

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("text", ["<html></html>", "[]", "7", DEEP, f'{{"value": {DEEP}}}'], ids=lambda text: text[:12])
def test_what_is_no_json_object_is_an_unreadable_answer(text):
    with pytest.raises(ArmError) as refused:
        parse_answer(text)
    assert (refused.value.code, refused.value.is_transient) == (UNREADABLE, False)
    diagnosis = errors.diagnose_error(refused.value, Workspace("S", "robots", "robots-ml"))
    assert (diagnosis.kind, diagnosis.network) == ("other", False)


@pytest.mark.parametrize("value", [7, True, "x", [], [7], {}, {"a": 1}], ids=repr)
@pytest.mark.parametrize(
    ("method", "fits"),
    [("object", dict), ("objects", list), ("text", str), ("texts", list)],
    ids=lambda value: str(value),
)
def test_a_field_of_another_type_is_an_unreadable_answer(method, fits, value):
    answer = parse_answer("")
    answer["field"] = Answer(value) if isinstance(value, dict) else value
    read = getattr(answer, f"get_{method}")
    if isinstance(value, fits) and value != [7]:
        assert read("field") == value
    else:
        with pytest.raises(ArmError, match="field") as refused:
            read("field")
        assert refused.value.code == UNREADABLE


@pytest.mark.parametrize("text", ["", "{}", '{"field": null}'])
def test_an_absent_field_is_empty_unless_it_is_required(text):
    answer = parse_answer(text)
    assert (answer.get_object("field"), answer.get_objects("field"), answer.get_text("field")) == ({}, [], "")
    with pytest.raises(ArmError, match="field"):
        answer.require_text("field")


class DrippingServer(socketserver.StreamRequestHandler):
    """A service whose answer comes byte by byte, for ever."""

    def handle(self) -> None:
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while True:
                self.wfile.write(b" ")
                time.sleep(0.02)


def test_a_service_that_drips_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(azure_sign_in, "ANSWER_SECONDS", 0.3)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), DrippingServer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        request = importlib.import_module("azure.core.rest").HttpRequest("GET", base)
        with pytest.raises(TimeoutError) as late:
            azure_sign_in.send_request(azure_sign_in.make_pipeline(base), request, read_timeout=5.0)
        server.shutdown()
    error = make_no_answer_error(late.value, "management.azure.com")
    assert (error.code, error.is_passing) == ("unreachable", True)


def test_content_that_hardly_comes_is_silence(monkeypatch):
    monkeypatch.setattr(deadline, "SILENCE_SECONDS", 0.1)

    def drip():
        yield b"first"
        time.sleep(5)

    pieces = read_pieces(drip(), 1)
    assert next(pieces) == b"first"
    with pytest.raises(DeadlineExceeded):
        next(pieces)
    assert list(read_pieces(iter([b"a", b"b"]), 1)) == [b"a", b"b"]


@pytest.mark.parametrize("error", [ValueError("Content-Range"), TypeError(), KeyError("x"), AttributeError()], ids=repr)
def test_an_answer_that_the_storage_library_stumbles_over_is_of_the_storage(error):
    with pytest.raises(StorageError, match="acc cannot be read"), translate_errors("acc", is_signed=False):
        raise error
