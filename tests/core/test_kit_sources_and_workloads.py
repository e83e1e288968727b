"""The kits of source kinds and workloads: correct plugins pass, and each defect fails the right test."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain.testing import SourceKit, WorkloadKit

pytestmark = pytest.mark.slow

DEFECTS = Path(__file__).with_name("kit_defects")
OMITTED = "omitted_tests.py"
SOURCES = {
    "Untold": ["test_good_texts_are_sources", "test_bad_text_is_rejected"],
    "Changing": ["test_good_texts_are_sources"],
    "Shortened": ["test_good_texts_are_sources", "test_flags_and_saved_job_agree"],
    "Careless": [
        "test_any_text_parses_or_is_rejected",
        "test_no_secret_is_repeated",
    ],
    "Taking": ["test_bad_text_is_rejected", "test_no_secret_is_repeated"],
    "Asking": ["test_recognizing_and_parsing_are_pure"],
    "Looking": ["test_good_texts_are_sources"],
    "Muttering": ["test_good_texts_are_sources"],
    "Unnamed": ["test_declaration_is_complete"],
    "Stealing": ["test_flags_clash_with_no_others"],
    "Ruling": ["test_flags_clash_with_no_others"],
    "Twin": [
        "test_shared_flag_is_resolved_by_text",
    ],
    "Heavy": ["test_container_plugin_is_complete"],
    "Absent": ["test_container_plugin_is_complete"],
    "Silent": ["test_container_plugin_is_complete"],
    "Greedy": ["test_target_is_complete"],
    "Torn": [
        "test_all_files_are_fetched_unchanged",
        "test_missing_source_is_reported",
        "test_interrupted_fetch_is_not_taken_as_complete",
        "test_pin_identifies_the_content",
    ],
    "Unpinned": ["test_pin_identifies_the_content"],
    "Misnamed": ["test_declaration_is_complete"],
    "Peeking": ["test_imports_only_public_names"],
}
WORKLOADS = {
    "Loose": ["test_parameters_are_well_declared"],
    "Mistaken": ["test_parameters_are_well_declared"],
    "Taking": ["test_flags_clash_on_no_platform"],
    "Boundless": ["test_parameters_are_well_declared"],
    "Idle": [
        "test_each_parameter_has_an_effect",
        "test_trainer_arguments_are_used_or_rejected",
        "test_small_job_runs_to_its_end",
    ],
    "Boasting": ["test_small_job_runs_to_its_end"],
    "Heavy": ["test_workload_container_plugin_is_complete"],
    "Silent": ["test_workload_container_plugin_is_complete"],
    "Unlocked": ["test_workload_container_plugin_is_complete"],
    "Seeing": ["test_parameters_are_well_declared"],
    "Greedy": ["test_missing_input_is_rejected"],
    "Picky": ["test_supporting_platforms_render_it"],
    "Absent": ["test_workload_container_plugin_is_complete"],
    "Misnamed": ["test_parameters_are_well_declared"],
    "Unread": ["test_parameters_are_well_declared"],
    "Peeking": ["test_imports_only_public_names"],
}
"""By the class in kit_defects, the standard tests that it must fail."""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """Return what pytest reports of the tests of kit_defects, which run once."""
    folder = tmp_path_factory.mktemp("defects")
    for family, own in (("source", "shelf"), ("workload", "hello")):
        install_claims(folder, family, f"{own}_{family}")
        install_claims(folder, family, f"peeking_{family}")
    nodes = [
        *choose_tests("source_defects.py", SOURCES),
        *choose_tests("workload_defects.py", WORKLOADS),
        f"{DEFECTS / OMITTED}",
    ]
    options = ("-q", "-rA", "--tb=short", "-o", "addopts=", "-o", "filterwarnings=error", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(DEFECTS), *nodes],
        env={**os.environ, "KIT_SITES": str(folder), "PYTHONPATH": str(DEFECTS)},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def outcomes(report) -> dict[str, set[str]]:
    """Return the outcomes of each test, by file, class and name: PASSED, FAILED, ERROR."""
    found: dict[str, set[str]] = {}
    for outcome, name in re.findall(r"^(PASSED|FAILED|ERROR) .*?(\w+\.py::\w+::\w+)", report, re.MULTILINE):
        found.setdefault(name, set()).add(outcome)
    assert found, report
    return found


def install_claims(folder: Path, family: str, module: str) -> None:
    """Make a folder for `sys.path` for each plugin of a module."""
    for name in re.findall(r"^(\w+) = (?:wrong|Plugin)\(", (DEFECTS / f"{module}.py").read_text(), re.MULTILINE):
        information = folder / family / name / f"kit_{name}-1.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kit-{name}\nVersion: 1\n")
        (information / "entry_points.txt").write_text(f"[robotrain]\n{family}.{name} = {module}:{name}\n")


def choose_tests(file: str, expected: dict[str, list[str]]) -> list[str]:
    """Return all tests of the correct plugin, and of each faulty one those that it must fail."""
    return [f"{DEFECTS / file}::TestGood"] + [
        f"{DEFECTS / file}::Test{name}::{test}" for name, tests in expected.items() for test in tests
    ]


@pytest.mark.parametrize(("file", "kit"), [("source_defects.py", SourceKit), ("workload_defects.py", WorkloadKit)])
def test_correct_plugin_passes_every_standard_test(outcomes, file, kit):
    good = {name: found for name, found in outcomes.items() if name.startswith(f"{file}::TestGood::")}
    assert {name.rpartition("::")[2] for name in good} == {name for name in dir(kit) if name.startswith("test_")}
    assert {name for name, found in good.items() if found != {"PASSED"}} == set()


@pytest.mark.parametrize(("file", "expected"), [("source_defects.py", SOURCES), ("workload_defects.py", WORKLOADS)])
def test_each_defect_fails_its_standard_tests(outcomes, file, expected):
    expected_failures = [f"{file}::Test{name}::{test}" for name, tests in expected.items() for test in tests]
    assert [name for name in expected_failures if not outcomes.get(name, set()) & {"FAILED", "ERROR"}] == []


def test_each_failure_is_a_sentence(report):
    assert re.findall(r"^E +assert .*", report, re.MULTILINE) == []


def test_private_imports_are_named_with_their_line(report):
    assert "peeking_source.py:3: robotrain.plugin._MODULES" in report
    assert "peeking_workload.py:4: robotrain.store" in report


@pytest.mark.parametrize(("kit", "expected"), [(SourceKit, SOURCES), (WorkloadKit, WORKLOADS)])
def test_every_standard_test_has_a_defect(kit, expected):
    failed = {test for tests in expected.values() for test in tests}
    assert {name for name in dir(kit) if name.startswith("test_")} - failed == set()


def test_missing_server_skips_only_what_needs_it(report, outcomes):
    assert f"{OMITTED}::TestWithoutAServer::test_all_files_are_fetched_unchanged" not in outcomes
    assert "no server on this machine" in report


def test_expected_failure_is_reported_with_its_reason(report):
    assert re.search(
        rf"^XFAIL .*{OMITTED}::TestExcused::test_good_texts_are_sources - it is still a draft",
        report,
        re.MULTILINE,
    )
