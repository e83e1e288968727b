"""Every kind of source, in every role that it can fill, on every platform."""

import json
from pathlib import Path

import pytest
from parity_cells import is_supported, kinds, list_cells
from parity_command import COMPARED, DATASET, FROM_CHECKPOINT, IN_SIMULATION, NEEDED, OWN_PROGRAM, PLATFORMS, ways_out
from parity_lines import list_lines
from parity_runtime import prepare_data
from robotrain.check.publish_targets import PUBLISH_ROLE
from robotrain.model.source import LOCAL_KIND
from robotrain.model.support import ANY
from robotrain_runtime.contract.document import JobSource


def is_read(role: str, kind: str) -> bool:
    return role != PUBLISH_ROLE and kind != ANY


def is_installed(role: str, kind: str) -> bool:
    return kind != ANY


def source_words(role: str, kind: str) -> tuple[str, ...]:
    flag = "--publish-url" if role == PUBLISH_ROLE else kinds()[kind].roles[role].flag
    return (flag, kinds()[kind].example)


def words(role: str, kind: str) -> tuple[str, ...]:
    """What is typed of a job with one source in question."""
    other = {
        "dataset": (),
        "checkpoint": FROM_CHECKPOINT,
        "code": OWN_PROGRAM,
        "reference": COMPARED,
        "scenes": IN_SIMULATION,
    }
    return (*other.get(role, DATASET), *source_words(role, kind))


def printed(kind: str) -> str:
    return str(kinds()[kind].parse(kinds()[kind].example, Path.cwd()))


def test_only_the_kind_run_has_no_example() -> None:
    assert [name for name, kind in kinds().items() if not kind.example] == ["run"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_bags_of_every_accepted_kind_of_dataset_are_converted(render_job, platform: str) -> None:
    accepted = list_cells(
        "sources", platform, taken=True, where=lambda role, kind: role == "dataset" and is_read(role, kind)
    )
    kinds_with_bags = {cell.what[1] for cell in accepted}
    assert {"huggingface", "blob_url"} <= kinds_with_bags
    for kind in sorted(kinds_with_bags):
        needed = NEEDED.get((platform, kind), {})
        words = (*source_words("dataset", kind), "--bags", "--fps", "10", "--exclude-bag", "ep001", "--task", "push")
        document = render_job(platform, *words, given=needed).document
        preparation = prepare_data(document, Path("/data"))
        assert preparation is not None
        assert preparation.environment is not None
        assert preparation.environment.lock.name == "bags.txt"
        (settings,) = (word for word in preparation.arguments if word.startswith("--settings="))
        assert json.loads(settings.partition("=")[2]) == {"fps": 10.0, "exclude_bags": "ep001"}
        assert {"--bags=/data", "--task=push"} <= {*preparation.arguments}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_accepted_sources_and_targets_reach_the_runtime(render_job, platform: str, fetched_commit: Path) -> None:
    accepted = list_cells("sources", platform, taken=True, where=is_installed)
    lines = list(list_lines(accepted, source_words))
    assert sorted(cell for _, cells in lines for cell in cells) == sorted(accepted), "each is in a line"
    for line, cells in lines:
        needed = {flag: text for cell in cells for flag, text in NEEDED.get((platform, cell.what[1]), {}).items()}
        plan = render_job(platform, *line, given=needed)
        document = plan.document
        for cell in cells:
            role, kind = cell.what
            if role == PUBLISH_ROLE:
                place, target = document.parameters["publish_url"], f"target.{kind}" in document.container_plugins
                expected = (str(kinds()[kind].parse_target(kinds()[kind].example)), True)
                if kinds()[kind].platform_managed:
                    assert (place, printed(kind) in plan.spec) == (None, True), cell
                else:
                    assert (place, target) == expected, cell
                continue
            is_fetched_here = bool(kinds()[kind].fetch_here)
            kind, uri = (LOCAL_KIND, str(fetched_commit)) if is_fetched_here else (kind, printed(kind))
            source = JobSource(role=role, kind=kind, uri=uri)
            assert [
                candidate for candidate in document.sources if candidate.role == role and not candidate.implied
            ] == [source], cell
            mounted = [(mount.role, mount.uri) for mount in document.placement.mounts]
            assert f"source.{kind}" in document.container_plugins or (role, source.uri) in mounted, cell
            assert kinds()[kind].requires in (("", "tracking") if document.placement.tracking_uri else ("",)), cell


@pytest.mark.parametrize("platform", PLATFORMS)
def test_refused_source_has_suggestions_that_are_accepted(find_errors, assert_accepted, platform: str) -> None:
    for cell in list_cells("sources", platform, taken=False, where=is_installed):
        role, kind = cell.what
        typed = words(role, kind)
        (problem,) = find_errors(platform, *typed)
        if role == PUBLISH_ROLE:
            assert problem["code"] == "target-not-accepted", cell
        else:
            assert (problem["code"], problem["given"]) == ("source-not-accepted", printed(kind)), cell
        assert problem["where"] in typed, cell
        ways = list(ways_out(platform, typed, problem, kind))
        assert ways, cell
        for way in ways:
            named = way[way.index("--platform") + 1]
            if named == platform:
                assert_accepted(way)
            else:
                assert is_supported("sources", named, role, kind), f"{cell}: {named} is suggested"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_several_backbones_reach_the_runtime_in_the_order_in_which_they_were_typed(render_job, platform: str) -> None:
    typed = {
        "--backbone-path": ("/models/org/vlm", "/models/org/words"),
        "--backbone-repo-id": ("org/clip", "org/bart@main"),
        "--backbone-url": ("https://account.blob.core.windows.net/models/org/fast",),
    }
    options = [word for flag, texts in typed.items() for text in texts for word in (flag, text)]
    document = render_job(platform, *DATASET, *options).document
    sources = [source for source in document.sources if source.role == "backbone" and not source.implied]
    assert [source.uri for source in sources] == [text for texts in typed.values() for text in texts]
    mounts = {mount.uri: mount.folder for mount in document.placement.mounts if mount.role == "backbone"}
    assert len(set(mounts.values())) == len(mounts), "each has a folder of its own"
    assert all(source.uri in mounts or f"source.{source.kind}" in document.container_plugins for source in sources)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_several_references_reach_the_runtime_beside_the_policy(render_job, platform: str) -> None:
    typed = {
        "--reference-path": ("/policies/old", "/policies/older"),
        "--reference-repo-id": ("lab/act",),
        "--reference-url": ("https://account.blob.core.windows.net/models/act",),
    }
    options = [word for flag, texts in typed.items() for text in texts for word in (flag, text)]
    document = render_job(platform, *COMPARED, *options).document
    sources = [source for source in document.sources if source.role == "reference"]
    assert [source.uri for source in sources] == [text for texts in typed.values() for text in texts]
    assert [source.role for source in document.sources if source not in sources] == ["policy"]
    mounts = {mount.uri: mount.folder for mount in document.placement.mounts if mount.role == "reference"}
    assert len(set(mounts.values())) == len(mounts), "each has a folder of its own"
    assert all(source.uri in mounts or f"source.{source.kind}" in document.container_plugins for source in sources)
