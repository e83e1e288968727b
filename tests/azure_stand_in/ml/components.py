"""The components of a workspace, which are the steps of pipelines. A version never changes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from azure_stand_in.ml import addresses, fields
from azure_stand_in.ml.contents import Here, Ml
from azure_stand_in.ml.request import Answer, Asked, user_error

MODES = {
    "ro_mount": "ReadOnlyMount",
    "rw_mount": "ReadWriteMount",
    "download": "Download",
    "upload": "Upload",
    "direct": "Direct",
}
"""Of inputs and outputs: as a component has them, and as a job has them."""
_PORT = {"type": str, "mode": str, "description": str, "optional": bool, "default": str}
SPEC: fields.Shape = {
    "$schema": str,
    "_source": str,
    "type": str,
    "name": str,
    "version": str,
    "display_name": str,
    "description": str,
    "tags": fields.TEXTS,
    "command": str,
    "code": str,
    "environment": str,
    "is_deterministic": bool,
    "inputs": [_PORT],
    "outputs": [_PORT],
    "resources": {"instance_count": int, "instance_type": str, "shm_size": str},
    "distribution": dict,
}
"""`componentSpec` of a command component, as the SDK writes it."""
GIVEN: fields.Shape = {
    "componentSpec": dict,
    "description": str,
    "isAnonymous": bool,
    "isArchived": bool,
    "properties": fields.TEXTS,
    "tags": fields.TEXTS,
}
_PLACE = r"\$\{\{(.*?)\}\}"


def find_spec(ml: Ml, address: str) -> Mapping[str, Any] | None:
    """The spec of the component that an address names; None when there is none."""
    found = addresses.asset(address, ml)
    if found is None or found.kind != "components":
        return None
    given = ml.components.get(found.name.lower(), {}).get(found.version)
    return None if given is None else given["componentSpec"]


def register_component(here: Here, ml: Ml, asked: Asked, name: str, version: str) -> Answer:
    given: dict[str, Any] = dict(asked.body.get("properties") or {})
    wrong = [*fields.wrong(given, GIVEN)]
    spec = given.get("componentSpec") or {}
    if wrong := wrong or [*_wrong(spec, ml)]:
        raise user_error(" ".join(wrong), "InvalidComponent")
    known = ml.components.setdefault(name.lower(), {})
    was = known.get(version)
    if was is not None and was["componentSpec"] != spec:
        raise user_error(f"Component {name}:{version} is there already and cannot be changed.", "Immutable", 409)
    known[version] = {"description": None, "tags": {}, "properties": {}, "isArchived": False, **given}
    return 201 if was is None else 200, ml.resource(f"/components/{name}/versions/{version}", known[version])


def _wrong(spec: Mapping[str, Any], ml: Ml) -> Iterator[str]:
    """What a job would be refused for: its command, its code, its environment, its inputs and outputs."""
    yield from fields.wrong(spec, SPEC, "properties.componentSpec")
    for key, kind, known in (("code", "codes", ml.codes), ("environment", "environments", ml.environments)):
        link = str(spec.get(key) or "")
        found = addresses.asset(link, ml)
        if link and (found is None or found.kind != kind or found.version not in known.get(found.name.lower(), {})):
            yield f"The {key} {link} was not found."
    for what in ("type", "command", "environment"):
        if not str(spec.get(what) or "").strip():
            yield f"The {what} field is required."
    for found in re.findall(_PLACE, str(spec.get("command") or "")):
        kind, _, name = found.partition(".")
        if name not in (spec.get(kind) or {}):
            yield f"The command refers to ${{{{{found}}}}}, which the component does not have."


ROUTES = (("PUT", "/components/([^/]+)/versions/([^/]+)", register_component),)
