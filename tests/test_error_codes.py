"""Every error code that the product reports is described once, and docs/errors.md shows all of them."""

import re
from collections import defaultdict
from collections.abc import Iterator

import pytest
import source_tree
import tomllib
from robotrain import errors

PACKAGES = tuple(source_tree.PACKAGES)
KNOWN = errors.load_error_codes(PACKAGES)
CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+(?:\.[a-z0-9-]+)?")


TABLES = {
    "failure": source_tree.ROOT / "plugins/osmo/robotrain_osmo/client/failures.toml",
    "refusal": source_tree.ROOT / "plugins/slurm/robotrain_slurm/client/refusals.toml",
}
"""What commands of OSMO and Slurm print, and the codes that it has."""


def reported_codes() -> set[str]:
    """The literals that are given as `code` to what makes problems and findings, and the codes of the tables."""
    modules = [module for module in source_tree.read_modules() if ".testing" not in module.name]
    positions: dict[str, set[int]] = defaultdict(set)
    for module in modules:
        for one in module.definitions:
            if "code" in one.parameters and not one.name.endswith("Error"):
                positions[one.name].add(one.parameters.index("code"))
    tabled = {row["code"] for key, file in TABLES.items() for row in tomllib.loads(file.read_text())[key]}
    calls = (call for module in modules for call in module.calls if call.name in positions)
    return tabled | {
        code for call in calls for code in literal_codes(call, positions[call.name]) if CODE.fullmatch(code)
    }


def literal_codes(call: source_tree.Call, positions: set[int]) -> Iterator[str]:
    for index in positions:
        yield from call.arguments[index] if index < len(call.arguments) else ()
    for name, texts in call.keywords:
        yield from texts if name == "code" else ()


def test_every_reported_code_is_described():
    missing = {code for code in reported_codes() if code.partition(".")[0] not in KNOWN}
    assert not missing, "describe these in the package's error_codes.toml"


def test_every_described_code_is_reported():
    tables = (file.read_text() for file in TABLES.values())
    text = "\n".join([*tables, *(module.text for module in source_tree.read_modules())])
    assert {code for code in KNOWN if code not in text} == set()


def test_a_code_is_described_once():
    for package in PACKAGES:
        others = errors.load_error_codes(other for other in PACKAGES if other != package)
        own = errors._read_codes(package)
        own.pop("include", None)
        assert not own.keys() & {code for code, entry in others.items() if entry.package != package}


def test_a_description_is_whole_sentences():
    for entry in KNOWN.values():
        assert not entry.title.endswith("."), entry.code
        assert entry.meaning.endswith("."), entry.code
        assert entry.fix.endswith((".", "`")), entry.code


@pytest.mark.parametrize("code", ["value-invalid", "file-malformed", "no-such-code-at-all"])
def test_explain_answers_with_the_description_of_a_code(robotrain, code):
    answer = robotrain("explain", code)
    title = KNOWN[code].title if code in KNOWN else ""
    assert (answer.exit_code, answer.stdout.partition(".")[0]) == ((0, title) if title else (2, ""))


def test_the_page_of_errors_is_generated_from_the_registry():
    page = (source_tree.ROOT / "docs/errors.md").read_text()
    assert page.endswith(errors.format_code_reference(KNOWN.values())), "run .ci/pages"


def test_a_code_is_explained_beside_a_plugin_that_is_one_module(robotrain, fake_platform):
    answer = robotrain("explain", "step-cycle")
    assert (answer.exit_code, KNOWN["step-cycle"].fix in answer.stdout) == (0, True)
