"""Every two kinds of datasets in one job, and several of one kind, on every platform."""

from pathlib import Path

import pytest
from parity_cells import kinds, list_cells
from parity_command import BAGS, PLATFORMS
from parity_runtime import prepare_data, record_dataset
from robotrain_runtime.contract import plugin_loader

Typed = list[tuple[str, str]]
"""Kinds, each with a text for it, in the order typed."""


def source_order(kind: str, other: str) -> Typed:
    """Of two kinds the first once more at the end, so that no sorting by kind gives the same order."""
    first = kinds()[kind]
    more = [(kind, f"{first.example}2")]
    if kind == other:
        return [*more, (kind, first.example)]
    return [(kind, first.example), (other, kinds()[other].example), *more]


def dataset_words(pairs: Typed) -> list[str]:
    return [word for kind, text in pairs for word in (kinds()[kind].roles["dataset"].flag, text)]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_datasets_are_merged_in_the_order_typed(render_job, tmp_path: Path, platform: str) -> None:
    data = record_dataset(tmp_path / "data")
    for cell in list_cells("combinations", platform, taken=True):
        pairs = source_order(*cell.what)
        document = render_job(platform, *dataset_words(pairs)).document
        uris = [str(kinds()[kind].parse(text, tmp_path)) for kind, text in pairs]
        sources = [source for source in document.sources if not source.implied]
        assert [source.kind for source in sources] == [kind for kind, _ in pairs], cell
        assert [source.uri for source in sources] == uris, cell
        made = prepare_data(document, data)
        assert made is not None, cell
        assert [word for word in made.arguments if word in uris] == uris, cell


def test_bags_are_read_in_the_order_typed(render_job, tmp_path: Path) -> None:
    every = (cell for platform in PLATFORMS for cell in list_cells("combinations", platform, taken=True))
    for cell in {cell.what: cell for cell in every}.values():
        document = render_job(cell.platform, *BAGS, *dataset_words(source_order(*cell.what))).document
        half = plugin_loader.load_workload_plugin(document)
        folders = {source: tmp_path / f"data-{number}" for number, source in enumerate(document.sources)}
        bags = [f"--bags={folder}" for source, folder in folders.items() if source.role == "dataset"]
        assert len(bags) > 1, cell
        assert [word for word in half.prepare(document, folders, {}).arguments if word in bags] == bags, cell


@pytest.mark.parametrize("platform", PLATFORMS)
def test_refused_combination_names_platform_and_kind(find_errors, platform: str) -> None:
    for cell in list_cells("combinations", platform, taken=False):
        is_missing = platform == "local" and "local_path" in cell.what  # no example is on this machine
        errors = find_errors(platform, *dataset_words(source_order(*cell.what)), code=2 if is_missing else 3)
        problems = [error for error in errors if error["code"] != "source-unreachable"]
        assert all(problem["instead"] for problem in problems), cell
        codes = {problem["code"] for problem in problems}
        assert codes <= {"combination-not-accepted", "source-not-accepted", "feature-not-there"}, cell
        assert {problem["where"] for problem in problems} <= {
            kinds()[kind].roles["dataset"].flag for kind in cell.what
        }, cell
