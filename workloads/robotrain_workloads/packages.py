"""Packages that a job adds to the environment of its workload: the parameters, and what else both sides know."""

import json
import re
from collections.abc import Mapping
from textwrap import shorten
from typing import Annotated, Any

from robotrain_runtime.contract.parameter import Param, load_texts

WITH_FLAG, BUILDS_FLAG = "--with", "--allow-builds"
HINT = f"use {WITH_FLAG} PACKAGE"
"""For those who look for the name that packages have in a job file."""
PATH_FORM = r"[.~/].*|(?!-|.*(?:@|://)).*(?:/.*|\.whl)"
"""Texts that are paths: all others are requirements, as in numpy==2.2.1."""
Packages = Annotated[
    str | None,
    Param(
        help="a package to add to the environment, such as a policy or tasks of your own: a requirement"
        " (lerobot_policy_x==1.2), a wheel file, or with --allow-builds a folder",
        flag=WITH_FLAG,
        metavar="PACKAGE",
        form="texts",
        path_texts=PATH_FORM,
        program_texts=rf"(?:{PATH_FORM})(?<!\.whl)",
    ),
]
AllowBuilds = Annotated[
    bool, Param(help="the job may build packages of --with that have no wheel, which runs their code there")
]


def list_given(parameters: Mapping[str, Any]) -> list[str]:
    """Return the packages that a job adds, as they are given; none if they cannot be read."""
    try:
        return load_texts(parameters.get("packages"))
    except ValueError:
        return []


PARAMETERS = ("packages", "allow_builds")
LONGEST_VALUE = 250
"""Characters that a tag of a model may have everywhere."""
OWNER = "of the run of the policy"
"""Where a value comes from that a job takes over."""


def follow_run(job: Any, earlier: Any) -> dict[str, tuple[Any, str]]:
    """Return the packages of the run whose policy a job takes, in the versions that the run had.

    :param earlier: the job of that run.
    """
    from robotrain_runtime.contract.added_packages import list_packages

    requirements = list_given(dict(earlier.parameters))
    if not requirements or "packages" not in dict(job.parameters):
        return {}
    locked = {normalize_name(name): version for name, version in list_packages(earlier.program_lock).items()}
    pinned_packages = [_pin(package_text, locked) for package_text in requirements]
    parameters = {"packages": (json.dumps(pinned_packages, ensure_ascii=False), OWNER)}
    builds = bool(dict(earlier.parameters).get("allow_builds"))
    return {**parameters, "allow_builds": (builds, OWNER)} if builds else parameters


def _pin(package_text: str, locked: Mapping[str, str]) -> str:
    """Return a requirement in the locked version; what is a path stays as it is."""
    version = locked.get(normalize_name(find_name(package_text)), "")
    extras = re.search(r"\[[\w,.\s-]*\]", package_text)
    return f"{find_name(package_text)}{extras[0] if extras else ''}=={version}" if version else package_text


def find_name(text: str) -> str:
    """Return the name in a requirement; empty for a path."""
    match = None if re.fullmatch(PATH_FORM, text) else re.match(r"\s*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)", text)
    return match[1] if match else ""


def normalize_name(name: str) -> str:
    """Return the name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needs_lock(job: Any) -> bool:
    """Return whether a job adds packages."""
    return bool(dict(job.parameters).get("packages"))


def describe(document: Any) -> dict[str, str]:
    """Return the packages that a job adds, with their versions, as a value of tracking; nothing if there are none.

    :param document: the job's.
    """
    from robotrain_runtime.contract.added_packages import list_packages

    package_texts = [
        f"{name}=={version}" if version else name for name, version in list_packages(document.program_lock).items()
    ]
    return {"packages": shorten(", ".join(package_texts), LONGEST_VALUE, placeholder=" …")} if package_texts else {}
