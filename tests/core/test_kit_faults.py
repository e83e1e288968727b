"""The kits: a correct plugin passes every standard test, and each faulty one fails the tests that are for its fault."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from kit_platform_faults import RIGHT, WRONG
from robotrain.testing import PlatformKit, SourceKit, WorkloadKit

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
DEFECTS = HERE / "kit_defects"
KITS = {"platform": PlatformKit, "source": SourceKit, "workload": WorkloadKit}
CORRECT = {"platform": "Sample", "source": "_good_shelf", "workload": "_good_hello"}
FAULTS = {
    "platform": WRONG,
    "source": {
        "_without_texts": ["test_good_texts_are_sources", "test_bad_text_is_rejected"],
        "_mutable_source": ["test_good_texts_are_sources"],
        "_shortened_form": ["test_good_texts_are_sources", "test_flags_and_saved_job_agree"],
        "_raises_other_errors": ["test_any_text_parses_or_is_rejected", "test_no_secret_is_repeated"],
        "_accepts_everything": ["test_bad_text_is_rejected", "test_no_secret_is_repeated"],
        "_uses_network": ["test_recognizing_and_parsing_are_pure"],
        "_needs_existing_folder": ["test_good_texts_are_sources"],
        "_warns_without_sentence": ["test_good_texts_are_sources"],
        "_incomplete": ["test_declaration_is_complete"],
        "_misnamed": ["test_declaration_is_complete"],
        "_flag_of_workload": ["test_flags_clash_with_no_others"],
        "_flag_of_robotrain": ["test_flags_clash_with_no_others"],
        "_shared_flag": ["test_shared_flag_is_resolved_by_text"],
        "_heavy_container": ["test_container_plugin_is_complete"],
        "_missing_container": ["test_container_plugin_is_complete"],
        "_incomplete_container": ["test_container_plugin_is_complete"],
        "_greedy_target": ["test_target_is_complete"],
        "_torn_fetch": [
            "test_all_files_are_fetched_unchanged",
            "test_missing_source_is_reported",
            "test_interrupted_fetch_is_not_taken_as_complete",
            "test_pin_identifies_the_content",
        ],
        "_constant_pin": ["test_pin_identifies_the_content"],
        "_private_import": {"test_imports_only_public_names": "_import_source.py:3: robotrain.plugin._MODULES"},
    },
    "workload": {
        "_mutable_parameters": ["test_parameters_are_well_declared"],
        "_wrong_default": ["test_parameters_are_well_declared"],
        "_unenforced_bounds": ["test_parameters_are_well_declared"],
        "_unknown_role": ["test_parameters_are_well_declared"],
        "_missing_reader": ["test_parameters_are_well_declared"],
        "_misnamed": ["test_parameters_are_well_declared"],
        "_flag_of_robotrain": ["test_flags_clash_on_no_platform"],
        "_idle_parameters": [
            "test_each_parameter_has_an_effect",
            "test_trainer_arguments_are_used_or_rejected",
            "test_small_job_runs_to_its_end",
        ],
        "_produces_nothing": ["test_small_job_runs_to_its_end"],
        "_heavy_container": ["test_workload_container_plugin_is_complete"],
        "_missing_container": ["test_workload_container_plugin_is_complete"],
        "_incomplete_container": ["test_workload_container_plugin_is_complete"],
        "_unlocked_environment": ["test_workload_container_plugin_is_complete"],
        "_unannounced_sources": {
            "test_implied_sources_fit_its_roles": (
                "roles that are not declared: backbone",
                "recognizes: a machine, on a shelf",
                "for which implies_sources is False",
            )
        },
        "_lost_check_command": {"test_check_command_is_complete": ("asked twice", "there is no module hello_lost")},
        "_greedy_check": ["test_missing_input_is_rejected"],
        "_local_only": ["test_supporting_platforms_render_it"],
        "_private_import": {"test_imports_only_public_names": "_import_workload.py:4: robotrain.store"},
    },
}
"""By family and faulty plugin, the standard tests that must fail; with what they say where several could."""


def list_failures(family: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return what must be said, by class and test."""
    return {
        (f"Test{name}", test): (words,) if isinstance(words, str) else words
        for name, tests in FAULTS[family].items()
        for test, words in (tests if isinstance(tests, dict) else dict.fromkeys(tests, ())).items()
    }


def install_claims(folder: Path, family: str, module: str) -> None:
    """Make a folder for `sys.path` for each plugin of a module."""
    for name in re.findall(r"^(\w+) = (?:wrong|Plugin)\(", (DEFECTS / f"{module}.py").read_text(), re.MULTILINE):
        information = folder / family / name / f"kit_{name}-1.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kit-{name}\nVersion: 1\n")
        (information / "entry_points.txt").write_text(f"[robotrain]\n{family}.{name} = {module}:{name}\n")


@pytest.fixture(scope="module", params=[pytest.param("platform", marks=pytest.mark.long), "source", "workload"])
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def reports(family, tmp_path_factory) -> dict[tuple[str, str], dict[str, str]]:
    """Run the tests of the correct plugin and those that must fail; return each one's failure, error and skip."""
    folder = tmp_path_factory.mktemp("kit")
    options, environ, classes = ["-n", "0"], dict(os.environ), HERE / "kit_faulty_platform_tests.py"
    chosen = {(f"Test{name}", test) for name, tests in RIGHT.items() for test in tests} if family == "platform" else ()
    if family != "platform":
        install_claims(folder, family, {"source": "shelf_source", "workload": "hello_workload"}[family])
        install_claims(folder, family, f"private_import_{family}")
        options = ["-o", "addopts=", "-o", "filterwarnings=error", "--rootdir", str(DEFECTS)]
        environ |= {"KIT_SITES": str(folder), "PYTHONPATH": str(DEFECTS)}
        classes = DEFECTS / f"{family}_defects.py"
    nodes = [f"{classes}::{group}::{test}" for group, test in (*list_failures(family), *chosen)]
    nodes.append(f"{classes}::Test{CORRECT[family]}")
    command = [sys.executable, "-m", "pytest", *options, "-q", "-p", "no:cacheprovider", f"--junitxml={folder}/report"]
    done = subprocess.run([*command, *nodes], cwd=folder, env=environ, capture_output=True, text=True)
    found: dict[tuple[str, str], dict[str, str]] = {}
    for case in ElementTree.parse(folder / "report").getroot().iter("testcase"):
        key = case.get("classname", "").rpartition(".")[2], case.get("name", "")
        found.setdefault(key, {}).update({one.tag: f"{one.get('message')} {one.text}" for one in case})
    assert {*list_failures(family), *chosen} <= {*found}, done.stdout
    return found


def test_each_fault_fails_its_standard_tests_with_sentences(family, reports):
    wanted = list_failures(family)
    texts = {key: reports[key].get("failure", "") + reports[key].get("error", "") for key in wanted}
    missed = {key: text for key, text in texts.items() if not text or any(words not in text for words in wanted[key])}
    assert missed == {}
    assert [key for key, text in texts.items() if re.search(r"^E +assert |AssertionError", text, re.MULTILINE)] == []


def test_correct_plugins_pass(family, reports):
    right = {f"Test{name}" for name in (CORRECT[family], *(RIGHT if family == "platform" else ()))}
    assert {key: found for key, found in reports.items() if key[0] in right and {*found} - {"skipped"}} == {}
    tests = {test.partition("[")[0] for group, test in reports if group == f"Test{CORRECT[family]}"}
    assert tests == {name for name in dir(KITS[family]) if name.startswith("test_")}
    if family != "platform":
        assert [key for key, found in reports.items() if key[0] in right and found] == []


@pytest.mark.parametrize("family", ["source", "workload"])
def test_every_standard_test_has_a_fault(family):
    assert {name for name in dir(KITS[family]) if name.startswith("test_")} == {
        test for _, test in list_failures(family)
    }
