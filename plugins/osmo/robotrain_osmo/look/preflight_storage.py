"""A look at the storage: what a workflow reads must be there, what is uploaded must be fit for it."""

from collections.abc import Iterator
from dataclasses import replace

from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Stage
from robotrain_azure import sendable, sendable_secrets

from robotrain_osmo.cli.refusals import UNREACHABLE, Refused
from robotrain_osmo.hand_over import stored, upload, upload_there
from robotrain_osmo.kinds import dataset
from robotrain_osmo.order import Input, Order, Upload

_BY_HAND = Instead("osmo dataset download NAME FOLDER", "with a 6.3 command; then --dataset-path FOLDER")


def empty(order: Order, wanted: Input, seconds: float) -> Iterator[Problem]:
    """An input where nothing lies: OSMO brings an empty folder and calls that success."""
    try:
        nothing = stored.is_empty(order.cli, wanted.url, seconds)
    except Refused as refused:
        yield _unchecked(wanted, refused)
        return
    if nothing:
        named = wanted.flag == dataset.FLAG
        yield Problem(
            code="osmo-input-empty",
            stage=Stage.PREFLIGHT,
            title="nothing lies where the data should be",
            where=wanted.flag,
            given=wanted.url,
            why="OSMO would bring an empty folder, and call that success." + (f" {dataset.BY_HASH}" if named else ""),
            instead=(
                Instead(f"osmo data list {wanted.url.rpartition('/')[0]} --no-pager", "shows what is there"),
                *([_BY_HAND] if named else []),
            ),
        )


def to_upload(plan: Plan, order: Order, one: Upload, seconds: float) -> Iterator[Problem]:
    """What stops an upload, or how much will be uploaded."""
    wrong = [*upload.unfit(plan, one, Stage.PREFLIGHT)] if one.path else []
    try:
        there = stored.below(order.cli, one.url, Stage.PREFLIGHT, seconds)
    except Refused as refused:
        yield from wrong or [_unlisted(one, refused)]
        return
    if not one.path or upload_there.is_whole(one, there):
        return
    folder = sendable.part(plan, one.path)
    yield from sendable_secrets.problems(one.path, one.flag, folder, Stage.PREFLIGHT)
    yield from wrong or [_will(one, f"{sendable.content(folder)}, will be uploaded")]


def _unlisted(one: Upload, refused: Refused) -> Problem:
    """What keeps this machine from uploading; what may pass by itself does not: the submit looks again."""
    problem = refused.refusal.problem(Stage.PREFLIGHT)
    if refused.refusal.code not in UNREACHABLE:
        return replace(problem, where=problem.where or one.flag, given=one.url)
    return Problem(
        code="osmo-upload-unchecked",
        stage=Stage.PREFLIGHT,
        title="what of it is uploaded already was not found out in the time that there is for a look",
        where=one.flag,
        given=one.url,
        why="The submit looks again, and waits longer: a list of very many files takes minutes.",
        severity="warning",
    )


def _will(one: Upload, title: str) -> Problem:
    return Problem(
        code="osmo-upload",
        stage=Stage.PREFLIGHT,
        title=title,
        where=one.flag,
        given=one.path,
        why=f"They go to {one.url}.",
        severity="note",
    )


def _unchecked(wanted: Input, refused: Refused) -> Problem:
    """This machine may not look; the workflow may be let in all the same."""
    return Problem(
        code="osmo-input-unchecked",
        stage=Stage.PREFLIGHT,
        title="whether there is data cannot be seen from this machine",
        where=wanted.flag,
        given=wanted.url,
        why=f"{refused.refusal.title[:1].upper()}{refused.refusal.title[1:]}.",
        instead=refused.refusal.instead,
        severity="warning",
    )
