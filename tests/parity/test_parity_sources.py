"""Every kind of source, in every role that it can fill, on every platform."""

from pathlib import Path

import pytest
from parity_cells import Cell, cells, kinds
from parity_command import COMPARED, DATASET, FROM_CHECKPOINT, IN_SIMULATION, NEEDED, OWN_PROGRAM, PLATFORMS, ways_out
from robotrain.check.publish_targets import PUBLISH_ROLE
from robotrain.model.support import ANY
from robotrain_runtime.contract.document import JobSource


def is_read(role: str, kind: str) -> bool:
    return role != PUBLISH_ROLE and kind != ANY


def is_written(role: str, kind: str) -> bool:
    return role == PUBLISH_ROLE and kind != ANY


def is_installed(role: str, kind: str) -> bool:
    return kind != ANY


def words(role: str, kind: str) -> tuple[str, ...]:
    """What is typed of a job with one source in question."""
    if role == PUBLISH_ROLE:
        return (*DATASET, "--publish-url", kinds()[kind].example)
    typed = (kinds()[kind].roles[role].flag, kinds()[kind].example)
    other = {
        "dataset": (),
        "checkpoint": FROM_CHECKPOINT,
        "code": OWN_PROGRAM,
        "reference": COMPARED,
        "scenes": IN_SIMULATION,
    }
    beside = other.get(role, DATASET)
    return (*beside, *typed)


def printed(kind: str) -> str:
    return str(kinds()[kind].parse(kinds()[kind].example, Path.cwd()))


def test_only_the_kind_run_has_no_example() -> None:
    assert [name for name, kind in kinds().items() if not kind.example] == ["run"]


@pytest.mark.parametrize("cell", cells("sources", taken=True, where=is_read))
def test_accepted_source_reaches_the_runtime(render_job, cell: Cell) -> None:
    role, kind = cell.what
    document = render_job(cell.platform, *words(role, kind), given=NEEDED.get((cell.platform, kind))).document
    (found,) = (source for source in document.sources if source.role == role and not source.implied)
    assert found == JobSource(role=role, kind=kind, uri=printed(kind))
    mounted = [(mount.role, mount.uri) for mount in document.placement.mounts]
    assert f"source.{kind}" in document.container_plugins or (role, found.uri) in mounted
    assert kinds()[kind].requires in (("", "tracking") if document.placement.tracking_uri else ("",))


@pytest.mark.parametrize("cell", cells("sources", taken=True, where=is_written))
def test_accepted_target_reaches_the_runtime_or_the_platform(render_job, cell: Cell) -> None:
    _, kind = cell.what
    plan = render_job(cell.platform, *words(*cell.what))
    place, printed_place = (
        plan.document.parameters["publish_url"],
        str(kinds()[kind].parse_target(kinds()[kind].example)),
    )
    if kinds()[kind].platform_managed:
        assert (place, printed(kind) in plan.spec) == (None, True)
    else:
        assert (place, f"target.{kind}" in plan.document.container_plugins) == (printed_place, True)


@pytest.mark.parametrize("cell", cells("sources", taken=False, where=is_installed))
def test_refused_source_has_suggestions_that_are_accepted(find_errors, assert_accepted, cell: Cell) -> None:
    typed = words(*cell.what)
    (problem,) = find_errors(cell.platform, *typed)
    role, kind = cell.what
    if role == PUBLISH_ROLE:
        assert problem["code"] == "target-not-accepted"
    else:
        assert (problem["code"], problem["given"]) == ("source-not-accepted", printed(kind))
    assert problem["where"] in typed
    ways = list(ways_out(cell.platform, typed, problem, kind))
    assert ways
    for way in ways:
        assert_accepted(way)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_several_backbones_reach_the_runtime_in_the_order_in_which_they_were_typed(render_job, platform: str) -> None:
    typed = {
        "--backbone-path": ("/models/org/vlm", "/models/org/words"),
        "--backbone-repo-id": ("org/clip", "org/bart@main"),
        "--backbone-url": ("https://account.blob.core.windows.net/models/org/fast",),
    }
    given = [word for flag, texts in typed.items() for text in texts for word in (flag, text)]
    document = render_job(platform, *DATASET, *given).document
    found = [source for source in document.sources if source.role == "backbone" and not source.implied]
    assert [source.uri for source in found] == [text for texts in typed.values() for text in texts]
    mounts = {mount.uri: mount.folder for mount in document.placement.mounts if mount.role == "backbone"}
    assert len(set(mounts.values())) == len(mounts), "each has a folder of its own"
    assert all(source.uri in mounts or f"source.{source.kind}" in document.container_plugins for source in found)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_several_references_reach_the_runtime_beside_the_policy(render_job, platform: str) -> None:
    typed = {
        "--reference-path": ("/policies/old", "/policies/older"),
        "--reference-repo-id": ("lab/act",),
        "--reference-url": ("https://account.blob.core.windows.net/models/act",),
    }
    given = [word for flag, texts in typed.items() for text in texts for word in (flag, text)]
    document = render_job(platform, *COMPARED, *given).document
    found = [source for source in document.sources if source.role == "reference"]
    assert [source.uri for source in found] == [text for texts in typed.values() for text in texts]
    assert [source.role for source in document.sources if source not in found] == ["policy"]
    mounts = {mount.uri: mount.folder for mount in document.placement.mounts if mount.role == "reference"}
    assert len(set(mounts.values())) == len(mounts), "each has a folder of its own"
    assert all(source.uri in mounts or f"source.{source.kind}" in document.container_plugins for source in found)
