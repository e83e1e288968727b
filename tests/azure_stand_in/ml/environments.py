"""The environments of a workspace: a version stays what it is."""

import re
from typing import Any

from azure_stand_in.ml.asked import Answer, Asked, missing, user_error
from azure_stand_in.ml.contents import Here, Ml

FIXED = ("image", "condaFile", "build", "osType", "inferenceConfig")
"""What makes an environment, and cannot be changed."""
DEFAULT: dict[str, Any] = {
    "description": None,
    "tags": {},
    "properties": {},
    "isAnonymous": False,
    "isArchived": False,
    "osType": "Linux",
    "environmentType": "UserCreated",
    "provisioningState": "Succeeded",
}
GIVEN = {"description", "tags", "properties", "isAnonymous", "isArchived", "autoRebuild", "build", "condaFile", "image"}
GIVEN |= {"inferenceConfig", "osType", "stage"}
"""What may be said of one: `EnvironmentVersionProperties` of the SDK, without what only the service says."""


def one(here: Here, ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    """One version."""
    found = ml.environments.get(name.lower(), {}).get(version)
    if found is None:
        raise missing(f"Environment {name} with version {version} was not found.")
    return 200, ml.resource(f"/environments/{name}/versions/{version}", found)


def register(here: Here, ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    """A new version; or a word about one that is there."""
    given: dict[str, Any] = dict(asked.body.get("properties") or {})
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", name) or not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", version):
        raise user_error(f"The environment {name}:{version} has a name or a version that cannot be.", "InvalidName")
    if unknown := sorted(set(given) - GIVEN):
        raise user_error(f"Could not find member '{unknown[0]}' on object of type 'EnvironmentVersion'.")
    if not (given.get("image") or given.get("build")):
        raise user_error("An environment needs an image or a build context.")
    there = ml.environments.setdefault(name.lower(), {})
    now = {**DEFAULT, **{key: value for key, value in given.items() if value is not None}}
    was = there.get(version)
    if was and any(was.get(key) != now.get(key) for key in FIXED):
        # the sentence is that of azure-cli-extensions#5440
        told = f"Environment {name} with version {version} is already registered and cannot be changed."
        raise user_error(told, "Immutable")
    there[version] = now
    return 200 if was else 201, ml.resource(f"/environments/{name}/versions/{version}", now)


ROUTES = (
    ("GET", "/environments/([^/]+)/versions/([^/]+)", one),
    ("PUT", "/environments/([^/]+)/versions/([^/]+)", register),
)
