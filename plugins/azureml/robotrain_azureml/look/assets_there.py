"""A look at the data assets and models that the job reads: whether each version is there, and is what it is read as."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from robotrain.problem import Instead, Problem
from robotrain_azure import refusal
from robotrain_azure.arm import ArmError
from robotrain_azure.workspace import Workspace

from robotrain_azureml.look import data_assets, names, refused
from robotrain_azureml.look.compute import count
from robotrain_azureml.look.finding import Severity, az, problem
from robotrain_azureml.look.looking import VERSION, Looking
from robotrain_azureml.order import Asset

ELSEWHERE = r"subscriptions/([^/]+)/resourcegroups/([^/]+)(?:/providers/[^/]+)?/workspaces/([^/]+)"
LOCATED = r"locations/[^/]+/workspaces/([^/]+)"
TYPES = {"data": ("dataType", "uri_folder"), "models": ("modelType", "custom_model")}
WHAT = {"data": "data asset", "models": "model"}
LISTS = {"data": "data list", "models": "model list"}


def problems(looking: Looking, asset: Asset, described: Sequence[str] = ()) -> Iterator[Problem]:
    """What is wrong with one. described: the files that a dataset is told by. Raises ArmError when it is not told."""
    at = workspace(looking, asset)
    if at is None:
        yield _unseen(asset)
        return
    try:
        told = properties(looking, asset, at)
    except ArmError as error:
        yield _not_told(looking, asset, at, error)
        return
    field, wanted = TYPES[asset.kind]
    kind = str(told.get(field) or "")
    if kind.lower().replace("_", "") not in ("", wanted.replace("_", "")):
        yield _of_another_type(asset, kind, wanted)
    else:
        yield from data_assets.problems(looking, asset, told, described)
    if told.get("isArchived"):
        title = f"the {WHAT[asset.kind]} {named(asset)} is archived: somebody took it out of use"
        yield problem("azureml-asset-archived", title, asset.flag, _said(asset), severity="warning")


def properties(looking: Looking, asset: Asset, at: Workspace) -> Mapping[str, Any]:
    """Those of its version. Raises ArmError."""
    path = f"{at.resource}/{asset.kind}/{asset.name}/versions/{asset.version}"
    return looking.once(path, lambda: looking.arm.get(path, VERSION).get("properties") or {})


def workspace(looking: Looking, asset: Asset) -> Workspace | None:
    """The workspace that has it; None where its address does not say that."""
    here = looking.order.at
    if not asset.scope:
        return here
    if found := re.fullmatch(ELSEWHERE, asset.scope, re.IGNORECASE):
        return Workspace(*found.groups())
    found = re.fullmatch(LOCATED, asset.scope, re.IGNORECASE)
    own = (here.name.lower(), looking.told("workspaceId").lower())
    return here if found and found[1].lower() in own else None


def named(asset: Asset) -> str:
    """As people say it."""
    return f"{asset.name}:{asset.version}"


def _not_told(looking: Looking, asset: Asset, at: Workspace, error: ArmError) -> Problem:
    """Raises ArmError for one of the job's own workspace."""
    if refused.is_of_it(error, asset.name):
        return _missing(looking, asset, at)
    if at == looking.order.at:
        raise error
    if error.status == 404:
        return replace(refused.of(error, at), where=asset.flag, given=_said(asset))
    return refused.unchecked([f"the {WHAT[asset.kind]} {named(asset)} of {at.name}"], refusal.of(error, at))


def _missing(looking: Looking, asset: Asset, at: Workspace) -> Problem:
    """Told with the newest version, or with the names that there are."""
    order, what = looking.order, WHAT[asset.kind]
    ways: tuple[Instead, ...]
    where = f"the workspace {at.name}"
    if newest := _newest(looking, f"{at.resource}/{asset.kind}/{asset.name}"):
        title = f"{where} has no version {asset.version} of the {what} {asset.name}"
        ways = (Instead(f"{asset.flag} {_said(asset, version=newest)}", "its newest version"),)
    else:
        title = f"{where} has no {what} {asset.name}"
        there = names.below(looking.arm, f"{at.resource}/{asset.kind}", VERSION)
        said = f"{asset.flag} {_said(asset, name='{}', version='VERSION')}"
        ways = names.others(said, asset.name, there, az(order, LISTS[asset.kind]))
    return problem("azureml-asset-missing", title, asset.flag, _said(asset), "", *ways)


def _newest(looking: Looking, path: str) -> str:
    try:
        told = looking.arm.get(path, VERSION).get("properties") or {}
    except ArmError:
        return ""
    newest = told.get("latestVersion")
    return str(newest) if count(newest) is not None else ""


def _of_another_type(asset: Asset, kind: str, wanted: str) -> Problem:
    """A model of another type may be taken all the same; data is mounted as a folder or not at all."""
    title = f"the {WHAT[asset.kind]} {named(asset)} is of the type {kind}, and is read as {wanted}"
    lists = "a version that is a folder" if asset.kind == "data" else "a version that was registered as a folder"
    way = Instead(f"{asset.flag} {_said(asset, version='VERSION')}", lists)
    severity: Severity = "error" if asset.kind == "data" else "warning"
    return problem("azureml-asset-type", title, asset.flag, _said(asset), "", way, severity=severity)


def _unseen(asset: Asset) -> Problem:
    title = f"the {WHAT[asset.kind]} {named(asset)} of another place is not looked at from here"
    why = "Azure ML looks it up when the job is made."
    return problem("azureml-asset-unseen", title, asset.flag, _said(asset), why, severity="note")


def _said(asset: Asset, name: str = "", version: str = "") -> str:
    """As it is typed; with another name or version in it."""
    name, version = name or asset.name, version or str(asset.version)
    if not asset.scope:
        return f"azureml:{name}:{version}"
    return f"azureml://{asset.scope}/{asset.kind}/{name}/versions/{version}"
