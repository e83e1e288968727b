"""Preflight of a job's data for another machine, on a machine without the job's folders."""

import dataclasses
import time
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.contract.document import Mount
from robotrain_runtime.preflight import preflight_remotely


@pytest.fixture
def sent_document(job, tmp_path):
    """Make a document whose folders are another machine's; its data environment is in this machine's cache."""

    def make(*, ready=True, **words):
        made = job(carried=["a"])  # so that its environment is there
        made = job(**{"ready": False, "credentials": {"other": "/nowhere"}, **words})
        away = {"work": "/osmo/work", "cache": "/osmo/cache", "tracking_uri": "http://127.0.0.1:9", "environment": None}
        cache = tmp_path / ("cache" if ready else "empty")
        return dataclasses.replace(made, placement=dataclasses.replace(made.placement, **away)), cache

    return make


@pytest.fixture
def numbers(tmp_path):
    def lay(said: str) -> Path:
        folder = tmp_path / "mine" / said
        folder.mkdir(parents=True)
        (folder / "numbers.txt").write_text(said)
        return folder

    return lay


def test_what_cannot_be_reached_from_here_is_told_from_what_nobody_can_use(plugins_on_path, sent_document):
    made, cache = sent_document(carried=["wrong configuration It is not yours.\nask for the role", "odd", "even"])
    findings = preflight_remotely(made, cache)
    check_refusals(findings, "source-unreachable", "data-unusable")


def test_nothing_of_the_other_machine_is_asked_for(plugins_on_path, sent_document):
    made, cache = sent_document(
        sources=["/osmo/input"], carried=["even"], mounts=(), left="${NOT_SET}", submission="NOT_SET"
    )
    assert preflight_remotely(made, cache, pytest.fail) == []


def test_what_the_job_has_a_secret_for_is_not_looked_at(plugins_on_path, sent_document):
    made, cache = sent_document(carried=["wrong configuration It is not yours."], credentials={"words": "/nowhere"})
    assert preflight_remotely(made, cache, pytest.fail) == []


def test_the_job_s_own_way_out_is_not_this_machine_s(plugins_on_path, sent_document, monkeypatch):
    import pretend_carrier

    places = []
    made_of = pretend_carrier.Words.__init__
    monkeypatch.setattr(
        pretend_carrier.Words,
        "__init__",
        lambda self, sources, place: (places.append(place), made_of(self, sources, place))[1],
    )
    made, cache = sent_document(carried=["even"], ways={"words": "--words-credential NAME"})
    assert preflight_remotely(made, cache, credential_hints={"words": "sign in"}) == []
    assert [place.credential_hints for place in places] == [{"words": "sign in"}]


def test_only_the_given_sources_are_checked(plugins_on_path, sent_document):
    made, cache = sent_document(carried=["wrong configuration It is not yours.", "wrong configuration Nor is this."])
    assert [finding.title for finding in preflight_remotely(made, cache, checked_sources=made.sources[1:])] == [
        "Nor is this"
    ]
    assert preflight_remotely(made, cache, checked_sources=()) == []


def test_a_source_that_is_not_checked_is_still_one_of_the_job(plugins_on_path, sent_document, monkeypatch):
    import pretend_work

    seen = []
    compare = pretend_work.compare
    monkeypatch.setattr(
        pretend_work,
        "compare",
        lambda document, described: (seen.append((document.sources, set(described))), compare(document, described))[1],
    )
    made, cache = sent_document(carried=["even", "odd"])
    assert preflight_remotely(made, cache, checked_sources=made.sources[:1]) == []
    assert seen == [(made.sources, {made.sources[0]})]


@pytest.fixture
def publishing(sent_document):
    """A document that publishes to a shelf."""

    def make(place, **words):
        made, cache = sent_document(publish={"place": f"shelf:{place}"}, **words)
        container_plugins = {
            **made.container_plugins,
            "workload.pretend": "pretend_placed",
            "target.shelf": "pretend_shelf",
        }
        return dataclasses.replace(made, container_plugins=container_plugins), cache

    return make


def test_a_place_to_publish_to_is_tried_where_its_environment_is_there(plugins_on_path, publishing, tmp_path):
    made, cache = publishing(tmp_path / "none")
    check_refusals(preflight_remotely(made, cache, pytest.fail), "publish-unwritable")
    assert preflight_remotely(*publishing(tmp_path / "none", ready=False), pytest.fail) == []
    assert preflight_remotely(*publishing(tmp_path / "none", credentials={"shelf": "/nowhere"}), pytest.fail) == []
    (tmp_path / "shelf").mkdir()
    assert preflight_remotely(*publishing(tmp_path / "shelf"), pytest.fail) == []


def test_a_folder_that_will_be_taken_from_here_is_compared_where_it_is(plugins_on_path, sent_document, numbers):
    folder = numbers("odd")
    mounts = (Mount(role="dataset", uri=str(folder), folder="${IN_0}"),)
    made, cache = sent_document(sources=[folder], carried=["even"], mounts=mounts)
    assert [finding.code for finding in preflight_remotely(made, cache)] == ["data-unusable"]
    assert preflight_remotely(dataclasses.replace(made, sources=made.sources[:1]), cache) == []


def test_what_only_the_platform_knows_is_left_to_it(plugins_on_path, sent_document):
    mounts = (Mount(role="dataset", uri="azureml:a:1", folder="${IN_0}"),)
    made, cache = sent_document(sources=["azureml:a:1"], carried=["even"], mounts=mounts)
    container_plugins = {name: module for name, module in made.container_plugins.items() if name != "source.folder"}
    assert preflight_remotely(dataclasses.replace(made, container_plugins=container_plugins), cache) == []


def test_an_environment_that_cannot_be_built_here_is_one_finding(plugins_on_path, sent_document, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/no/such/python")
    messages: list[str] = []
    made, cache = sent_document(carried=["odd", "even"], ready=False)
    check_refusals(preflight_remotely(made, cache, messages.append), "sources-unread")
    assert len(messages) == 1


def test_a_service_that_never_answers_is_given_up(plugins_on_path, sent_document, monkeypatch):
    import pretend_carrier

    monkeypatch.setattr(pretend_carrier.Words, "survey", lambda self: time.sleep(30))
    made, cache = sent_document(carried=["odd"])
    began = time.monotonic()
    check_refusals(preflight_remotely(made, cache, seconds=0.2), "sources-unread")
    assert time.monotonic() - began < 20  # of its 30 s
