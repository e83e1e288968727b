"""The kits of source kinds and workloads bite: what is right passes, and each wrong thing fails where it must."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain.testing.source_kit import SourceKit
from robotrain.testing.workload_kit import WorkloadKit

pytestmark = pytest.mark.slow

BITES = Path(__file__).with_name("kit_bites")
DROPPING = "dropping_bites.py"
MODULE = "dropping_module_bites.py"
GO_ON = "--continue-on-collection-errors"
GUARD = "test_no_standard_test_is_dropped"
SOURCES = {
    "Untold": ["test_there_are_texts_to_try"],
    "Changing": ["test_a_source_is_a_value"],
    "Shortened": [
        "test_a_good_text_has_its_printed_form",
        "test_the_printed_form_names_the_same_source",
        "test_flags_files_and_saved_jobs_say_the_same",
    ],
    "Careless": [
        "test_any_text_is_a_source_or_a_refusal",
        "test_no_secret_is_repeated",
        "test_no_secret_reaches_the_screen",
    ],
    "Taking": ["test_a_bad_text_is_refused", "test_no_secret_is_repeated"],
    "Asking": ["test_parsing_asks_nothing_and_changes_nothing", "test_the_recogniser_asks_nothing"],
    "Looking": ["test_its_example_parses_in_an_empty_folder"],
    "Muttering": ["test_what_is_doubtful_is_told_in_sentences"],
    "Unnamed": ["test_its_declaration_is_whole"],
    "Stealing": ["test_its_flags_are_its_own"],
    "Ruling": ["test_its_flags_clash_with_nothing"],
    "Twin": [
        "test_where_a_flag_is_shared_the_text_tells_the_kind",
        "test_environment_names_say_the_same",
        "test_a_platform_that_takes_any_kind_carries_it",
    ],
    "Heavy": ["test_what_is_packed_needs_the_standard_library_alone"],
    "Absent": ["test_a_module_that_it_names_is_there", "test_what_is_packed_needs_the_standard_library_alone"],
    "Silent": ["test_its_half_has_what_the_runtime_calls"],
    "Greedy": ["test_its_target_has_what_the_runtime_calls"],
    "Torn": [
        "test_all_of_it_comes_unchanged",
        "test_what_is_not_there_is_a_sentence",
        "test_what_was_cut_off_is_not_taken_for_whole",
        "test_the_same_content_has_the_same_pin",
    ],
    "Unpinned": ["test_other_content_has_another_pin_and_is_never_brought_for_the_first"],
    "Misnamed": ["test_it_brings_what_it_claims"],
    "Peeking": ["test_it_imports_what_is_promised_to_stay"],
}
WORKLOADS = {
    "Loose": ["test_parameters_are_declared_for_people", "test_no_parameter_is_a_secret"],
    "Mistaken": ["test_defaults_are_values_of_their_own_type"],
    "Taking": ["test_its_flags_are_its_own_on_every_platform", "test_help_schema_and_explain_list_each"],
    "Boundless": ["test_what_is_out_of_bounds_is_refused"],
    "Idle": [
        "test_each_parameter_changes_what_is_made",
        "test_trainer_arguments_are_used_or_refused",
        "test_it_runs_to_its_end_and_tells_how_it_goes",
    ],
    "Boasting": ["test_it_runs_to_its_end_and_tells_how_it_goes"],
    "Heavy": ["test_what_is_packed_needs_the_standard_library_alone"],
    "Silent": ["test_the_half_has_what_the_runtime_calls"],
    "Unlocked": ["test_its_environment_is_locked_by_hash"],
    "Seeing": ["test_its_roles_are_known"],
    "Greedy": ["test_an_input_that_it_needs_is_asked_for"],
    "Picky": ["test_every_platform_that_says_yes_renders_it"],
    "Absent": ["test_what_is_packed_needs_the_standard_library_alone"],
    "Misnamed": ["test_its_roles_are_known"],
    "Peeking": ["test_it_imports_what_is_promised_to_stay"],
}
"""By the class in kit_bites, the standard tests that it must fail."""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> str:
    """What pytest says of the tests of kit_bites; run once."""
    folder = tmp_path_factory.mktemp("bites")
    for family, own in (("source", "shelf"), ("workload", "hello")):
        claim(folder, family, f"{own}_{family}")
        claim(folder, family, f"peeking_{family}")
    asked = [
        *chosen("source_bites.py", SOURCES),
        *chosen("workload_bites.py", WORKLOADS),
        f"{BITES / DROPPING}",
        f"{BITES / MODULE}",
    ]
    options = ("-q", "-rA", "--tb=short", "-o", "addopts=", "-o", "filterwarnings=error", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(BITES), GO_ON, *asked],
        env={**os.environ, "KIT_SITES": str(folder), "PYTHONPATH": str(BITES)},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def ended(told) -> dict[str, set[str]]:
    """How each test ended, by file, class and name: passed, failed, error."""
    found: dict[str, set[str]] = {}
    for how, name in re.findall(r"^(PASSED|FAILED|ERROR) .*?(\w+\.py::\w+::\w+)", told, re.MULTILINE):
        found.setdefault(name, set()).add(how)
    assert found, told
    return found


def claim(folder: Path, family: str, module: str) -> None:
    """Make a folder for the path for each thing that a module brings."""
    for name in re.findall(r"^(\w+) = (?:wrong|Plugin)\(", (BITES / f"{module}.py").read_text(), re.MULTILINE):
        information = folder / family / name / f"kit_{name}-1.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kit-{name}\nVersion: 1\n")
        (information / "entry_points.txt").write_text(f"[robotrain]\n{family}.{name} = {module}:{name}\n")


def chosen(file: str, expected: dict[str, list[str]]) -> list[str]:
    """All of what is right, and of each wrong thing what it must fail."""
    return [f"{BITES / file}::TestGood"] + [
        f"{BITES / file}::Test{name}::{test}" for name, tests in expected.items() for test in tests
    ]


@pytest.mark.parametrize("file", ["source_bites.py", "workload_bites.py"])
def test_what_is_right_passes_every_standard_test(ended, file):
    good = {name: how for name, how in ended.items() if name.startswith(f"{file}::TestGood::")}
    assert len(good) > 15
    assert {name for name, how in good.items() if how != {"PASSED"}} == set()


@pytest.mark.parametrize(("file", "expected"), [("source_bites.py", SOURCES), ("workload_bites.py", WORKLOADS)])
def test_each_wrong_thing_fails_the_standard_test_that_is_for_it(ended, file, expected):
    asked = [f"{file}::Test{name}::{test}" for name, tests in expected.items() for test in tests]
    assert [name for name in asked if not ended.get(name, set()) & {"FAILED", "ERROR"}] == []


def test_what_a_plugin_has_of_robotrain_by_another_name_is_told(told):
    assert "peeking_source.py:3: robotrain.errors.MAX_SENTENCE" in told
    assert "peeking_workload.py:3: robotrain.store" in told


@pytest.mark.parametrize(("kit", "expected"), [(SourceKit, SOURCES), (WorkloadKit, WORKLOADS)])
def test_there_is_something_wrong_for_every_standard_test(kit, expected):
    bitten = {test for tests in expected.values() for test in tests}
    assert {name for name in dir(kit) if name.startswith("test_")} - bitten == {GUARD}


def test_a_class_that_is_marked_away_fails_where_pytest_collects_it(told):
    assert re.search(rf"^ERROR .*{DROPPING}::TestLater\b", told, re.MULTILINE)
    assert "@pytest.mark.skip on TestLater takes every standard test out" in told


def test_a_module_that_is_marked_away_fails_where_pytest_collects_it(told):
    assert re.search(rf"^ERROR .*{MODULE}::TestModule\b", told, re.MULTILINE)
    assert f"pytest.mark.skip on {MODULE} takes every standard test out" in told


@pytest.mark.parametrize("name", ["TestSetUp", "TestAlways"])
def test_what_skips_every_test_before_it_begins_fails_each(told, ended, name):
    assert ended[f"{DROPPING}::{name}::{GUARD}"] >= {"ERROR"}
    assert ended[f"{DROPPING}::{name}::test_a_source_is_a_value"] >= {"ERROR"}
    assert "This standard test was left out (not today)" in told


def test_a_server_that_is_not_there_skips_what_needs_it_alone(told, ended):
    assert f"{DROPPING}::TestWithoutAServer::test_all_of_it_comes_unchanged" not in ended
    assert "no server on this machine" in told


def test_a_test_that_is_excused_is_told_with_its_reason(told):
    assert re.search(
        rf"^XFAIL .*{DROPPING}::TestExcused::test_a_source_is_a_value - it is still a draft", told, re.MULTILINE
    )
