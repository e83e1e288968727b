"""Weights of torchvision: names, what the host says of a file, and how the job gets it. The host is on this machine."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_server import QuietHandler, serve
from robotrain.model.source import SourceError
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_sources.torchvision import fetch, reference, weights_table
from robotrain_sources.torchvision.reference import TorchvisionWeights, parse_weights
from robotrain_sources.transfer import container

NAME = "ResNet18_Weights.IMAGENET1K_V1"
CONTENT = b"weights" * 100_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FILE = "resnet18-f37072fd.pth"


@contextmanager
def serve_file(monkeypatch: pytest.MonkeyPatch, status: int = 200, digest: str = DIGEST) -> Iterator[list[str]]:
    """Serve the file at the address of the table's row; yield the methods that were asked for."""
    methods: list[str] = []

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            methods.append("GET")
            self.answer(CONTENT if status == 200 else b"", status)

    with serve(Handler) as host:
        monkeypatch.setattr(weights_table, "WEIGHTS", {NAME: (f"{host}/models/{FILE}", digest)})
        yield methods


def test_a_name_is_one_of_the_table() -> None:
    assert str(parse_weights(f" {NAME} ")) == NAME
    for text in ("ResNet18_Weights.IMAGENET1K_V2", "resnet18", "lab/policy"):
        with pytest.raises(SourceError, match=NAME):
            parse_weights(text)


def test_every_digest_begins_with_what_torchvision_compares() -> None:
    for url, digest in weights_table.WEIGHTS.values():
        first = url.rpartition("-")[2].removesuffix(".pth")
        assert digest.startswith(first)
        assert len(digest) in (64, len(first))


def test_a_pin_is_the_digest_of_the_table() -> None:
    weights = TorchvisionWeights(NAME)
    pin = reference.resolve_pin(weights, "backbone")
    assert pin == weights_table.WEIGHTS[NAME][1]
    assert reference.explain_lost_pin(weights, "backbone", pin) == ""
    assert NAME in reference.explain_lost_pin(weights, "backbone", "0" * 64)


@pytest.fixture
def deliver(tmp_path: Path, data_python: Path) -> Callable[[], Path]:
    """Fetch the weights as a job does, into a cache that stays; return the file."""

    def run() -> Path:
        source = JobSource(role="backbone", kind="torchvision", uri=NAME, pin=DIGEST)
        place = ContainerContext(cache=tmp_path, python=data_python, log_line=lambda line: None)
        delivery = container.deliver([source], {"torchvision": fetch}, place, {})
        try:
            (survey,) = delivery.survey()
            if survey.problems:
                raise JobFailed(summarize_problem(survey.problems[0]))
            (folder,) = delivery.fetch(lambda progress: None).values()
            return folder / FILE
        finally:
            delivery.close()

    return run


@pytest.mark.slow
def test_a_job_downloads_the_file_once_and_then_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, deliver: Callable[[], Path]
) -> None:
    with serve_file(monkeypatch) as methods:
        assert deliver().read_bytes() == CONTENT
        assert methods
    assert deliver().read_bytes() == CONTENT


@pytest.mark.slow
@pytest.mark.parametrize(("status", "digest"), [(200, "0" * 64), (404, DIGEST)])
def test_a_file_with_another_digest_and_one_that_is_missing_are_refused(
    monkeypatch: pytest.MonkeyPatch, deliver: Callable[[], Path], status: int, digest: str
) -> None:
    with serve_file(monkeypatch, status, digest), pytest.raises(JobFailed):
        deliver()
