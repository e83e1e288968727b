"""A source may declare an environment of its own: it is built before anything is fetched, and only if it is needed."""

import dataclasses
from pathlib import Path

import pytest
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.environments import environment
from robotrain_runtime.preflight import run_preflight

LOCK = Path(__file__).parent / "container_plugins/far.txt"


@pytest.fixture
def fetching(job):
    """Make a document with one source, which the plugin `pretend_far` or `pretend_near` fetches."""

    def make(plugin: str, **placement: str | None) -> JobDocument:
        made = job("import os; print('fetched', open(os.environ['PRETEND_DATA'] + '/numbers.txt').read())", **placement)
        source = JobSource(role="policy", kind="far", uri="far://away")
        return dataclasses.replace(
            made, container_plugins={**made.container_plugins, "source.far": plugin}, sources=(source,)
        )

    return make


@pytest.mark.slow
def test_a_source_is_fetched_in_the_environment_it_declares_which_is_built_once(fetching, run, tmp_path):
    ran = run(fetching("pretend_far"))
    assert any("building the environment" in line for line in ran.ordinary)
    (marker,) = (tmp_path / "cache/environments").glob("*/" + environment.MARKER)
    assert marker.parent == environment.get_environment_folder(LOCK, tmp_path / "cache")
    assert {f"fetched {marker.parent}/bin/python", "fetching far://away"} <= set(ran.ordinary)
    again = run(fetching("pretend_far", work=str(tmp_path / "again")))
    assert not any("building the environment" in line for line in again.ordinary)


def test_a_source_that_declares_none_gets_the_runs_own_and_nothing_is_built(fetching, run, small_environment, tmp_path):
    assert f"fetched {small_environment}/bin/python" in run(fetching("pretend_near")).ordinary
    assert not list((tmp_path / "cache").glob("environments/*/" + environment.MARKER))


@pytest.fixture
def no_python(plugins_on_path, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/no/such/python")


def test_preflight_checks_the_environment_of_a_source(fetching, no_python):
    (finding,) = run_preflight(fetching("pretend_far"))
    assert finding.code == "python-missing"
    assert finding.suggestions
    assert not [way for way in finding.suggestions if "--environment" in way.text]  # which is for the run's own
    assert run_preflight(fetching("pretend_near")) == []


def test_a_finding_about_both_environments_is_reported_once(fetching, no_python):
    (finding,) = run_preflight(fetching("pretend_far", environment=None))
    assert any("--environment" in way.text for way in finding.suggestions)
