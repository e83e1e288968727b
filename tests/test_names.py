"""Names can be guessed: no module or function is named by a vague word alone, and a class name has one meaning."""

import pytest
import source_tree

MODULES = source_tree.read_modules()


def test_no_module_or_function_is_named_by_a_vague_word():
    assert source_tree.find_vague_names(MODULES) == []


def test_a_variable_says_what_it_holds():
    assert source_tree.find_vague_variables(MODULES) == []


def test_a_variable_of_a_test_says_what_it_holds():
    assert source_tree.find_vague_variables(source_tree.read_tests()) == []


def test_no_two_classes_share_a_name():
    assert source_tree.find_repeated_classes(MODULES) == {}


@pytest.mark.parametrize("suffix", ["_utils", "utils", "helpers", "_helpers", "misc", "common"])
def test_no_module_is_a_bag_of_helpers(suffix):
    assert [module.name for module in MODULES if module.name.rpartition(".")[2] == suffix] == []
