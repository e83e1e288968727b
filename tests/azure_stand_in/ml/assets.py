"""Data assets and models of a workspace: a version stays what it is."""

import re
from typing import Any

from azure_stand_in.ml.asked import Answer, Asked, Refused, missing, user_error
from azure_stand_in.ml.contents import Here, Ml, Versions

WHAT = {"data": ("dataType", "dataUri", "uri_folder"), "models": ("modelType", "modelUri", "custom_model")}
"""Of a kind: what its type and its address are called, and the usual type."""
NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
"""Contract C.2."""


def there(ml: Ml, kind: str, name: str, registry: str = "") -> Versions:
    """The versions of one; empty when it is not there. registry: empty for the workspace's own."""
    key = f"registries/{registry}/{name}".lower() if registry else _key(ml, name)
    return _whole(ml, kind).get(key, {})


def one(here: Here, ml: Ml, asked: Asked, kind: str, name: str, version: str) -> Answer:
    """One version."""
    kind = kind.lower()
    found = there(ml, kind, name).get(version)
    if found is None:
        raise missing(f"The specified {kind} asset {name} with version {version} was not found.")
    return 200, _resource(ml, kind, name, version, found)


def register(here: Here, ml: Ml, asked: Asked, kind: str, name: str, version: str) -> Answer:
    """A new version, or other words of one that is there: where it lies never changes."""
    kind = kind.lower()
    type_, uri, usual = WHAT[kind]
    given: dict[str, Any] = dict(asked.body.get("properties") or {})
    if not re.fullmatch(NAME, name) or not re.fullmatch(r"[A-Za-z0-9._-]+", version):
        raise user_error(f"The name {name}:{version} cannot be.", "InvalidName")
    was = there(ml, kind, name).get(version)
    if was is not None and was.get(uri) != given.get(uri):
        raise Refused(409, "Conflict", f"The version {version} of {name} is there already.")
    if not re.match(r"azureml://|runs:/|https://|azureml:/subscriptions/", str(given.get(uri) or "")):
        raise Refused(400, "UserError", f"{uri} is no address of the workspace.")
    given = {type_: usual, **{key: value for key, value in given.items() if value is not None}}
    _whole(ml, kind).setdefault(_key(ml, name), {})[version] = given
    return 201 if was is None else 200, _resource(ml, kind, name, version, given)


def versions(here: Here, ml: Ml, asked: Asked, kind: str, name: str) -> Answer:
    """All its versions."""
    found = there(ml, kind.lower(), name)
    if not found:
        raise missing(f"The specified {kind} asset {name} was not found.")
    order = reversed(found) if "desc" in asked.query.get("$orderBy", "") else iter(found)
    return 200, {"value": [_resource(ml, kind.lower(), name, version, found[version]) for version in order]}


def container(here: Here, ml: Ml, asked: Asked, kind: str, name: str) -> Answer:
    """What is said of all its versions."""
    found = there(ml, kind.lower(), name)
    if not found:
        raise missing(f"The specified {kind} asset {name} was not found.")
    return 200, _container(ml, kind.lower(), name, found)


def containers(here: Here, ml: Ml, asked: Asked, kind: str) -> Answer:
    """All of a kind."""
    mark = f"{ml.at}/".lower()
    whole = {key[len(mark) :]: found for key, found in _whole(ml, kind.lower()).items() if key.startswith(mark)}
    return 200, {"value": [_container(ml, kind.lower(), name, found) for name, found in whole.items()]}


def _container(ml: Ml, kind: str, name: str, found: Versions) -> dict[str, Any]:
    numbers = [int(version) for version in found if version.isdecimal()]
    following = {"nextVersion": str(max(numbers) + 1)} if numbers else {}
    said = {"latestVersion": str(max(numbers)) if numbers else [*found][-1], **following, "isArchived": False}
    kinds = {"dataType": str(next(iter(found.values())).get("dataType"))} if kind == "data" else {}
    return ml.resource(f"/{kind}/{name}", {"description": None, "tags": {}, **said, **kinds})


def _whole(ml: Ml, kind: str) -> dict[str, Versions]:
    return ml.models if kind == "models" else ml.data


def _key(ml: Ml, name: str) -> str:
    return f"{ml.at}/{name}".lower()


def _resource(ml: Ml, kind: str, name: str, version: str, given: dict[str, Any]) -> dict[str, Any]:
    usual = {"description": None, "tags": {}, "properties": {}, "isArchived": False, "isAnonymous": False}
    more = {"flavors": {}} if kind == "models" else {}
    return ml.resource(f"/{kind}/{name}/versions/{version}", {**usual, **more, **given})


ROUTES = (
    ("GET", "/(data|models)/([^/]+)/versions/([^/]+)", one),
    ("PUT", "/(data|models)/([^/]+)/versions/([^/]+)", register),
    ("GET", "/(data|models)/([^/]+)/versions", versions),
    ("GET", "/(data|models)/([^/]+)", container),
    ("GET", "/(data|models)", containers),
)
