"""The source kind `huggingface`: datasets and policies of the Hugging Face Hub."""

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from robotrain.model.source import PinModule, Pinning, RoleFlag, Source, SourceKind, TargetForm
from robotrain.plugins.hookspecs import hook

from robotrain_sources.huggingface import reference
from robotrain_sources.role_flags import make_resume_flag, make_scenes_flag

if TYPE_CHECKING:
    from robotrain.model.health import Check

_TARGET_ADDRESS = r"(?i)\s*(?:hf:|(?:(?:https?:)?//)?(?:[^/?#]*@)?(?:www\.)?(?:huggingface|hf)\.co/)"
_ADDRESS = r"(?i)\s*(?:hf:|(?:(?:https?:)?//)?(?:[^/?#]*@)?(?:www\.)?(?:huggingface|hf)\.co/)"


def recognizes(text: str) -> bool:
    """Return whether the text is an address of the Hub, or `OWNER/NAME`."""
    name = text.strip().partition("@")[0]
    return bool(re.match(_ADDRESS, text)) or ("/" in name and reference.is_repository_id(name))


def find_warnings(source: Source) -> list[str]:
    """Return a warning where a folder has the name of the repository, or where the name has no owner."""
    name = str(source).partition("@")[0]
    if os.path.isdir(name):
        return [
            f"{name} is read from the Hub, not from the folder of that name: --dataset-path and --policy-path take "
            "folders"
        ]
    if "/" in name:
        return []
    meant = f"; perhaps {name.replace('_', '/', 1)} is meant" if "_" in name.strip("_") else ""
    return [f"{name} has no owner before a slash: only the oldest repositories of the Hub have none{meant}"]


def load_pin() -> PinModule:
    """Import what pins a source."""
    from robotrain_sources.huggingface import pin

    return pin


KIND = SourceKind(
    name=reference.Repository.kind,
    title="Hugging Face repositories",
    form=reference.FORM,
    example="hf://lerobot/pusht",
    help="A repository of the Hugging Face Hub, at a branch, a tag or a commit.",
    roles={
        "dataset": RoleFlag(
            "--dataset-repo-id",
            aliases=("-d", "--dataset"),
            env=("DATASET_REPO_ID",),
            revision_env=("DATASET_REVISION",),
            help="A dataset of the Hugging Face Hub.",
            common=True,
        ),
        "policy": RoleFlag(
            "--policy-repo-id",
            env=("POLICY_REPO_ID",),
            revision_env=("POLICY_REVISION",),
            repeatable=False,
            help="A policy of the Hugging Face Hub to go on from, or to evaluate. REVISION pins it.",
            common=True,
        ),
        "reference": RoleFlag(
            "--reference-repo-id",
            help="A policy of the Hugging Face Hub to compare the evaluated one with. REVISION pins it.",
        ),
        "resume": make_resume_flag(  # OWNER/NAME may be a folder
            lambda text: bool(re.match(_ADDRESS, text)), f"{reference.SCHEME}{reference.FORM}"
        ),
        "backbone": RoleFlag(
            "--backbone-repo-id",
            help="A backbone or tokenizer of the Hugging Face Hub that the policy names, if the one that it implies is "
            "not the right one; REVISION pins it.",
        ),
        "scenes": make_scenes_flag(  # an OWNER/NAME that is a folder here is that folder
            lambda text: recognizes(text) and not os.path.isdir(text), f"{reference.SCHEME}{reference.FORM}"
        ),
    },
    recognizes=recognizes,
    parse=lambda text, base: reference.parse_repository(text),
    warn=find_warnings,
    container_plugin="robotrain_sources.huggingface.fetch",
    target="robotrain_sources.huggingface_publish.target",
    target_form=TargetForm(
        form=reference.BRANCH_FORM,
        recognizes=lambda text: bool(re.match(_TARGET_ADDRESS, text)),
        parse=reference.parse_branch,
        takes_results=False,
    ),
    pinning=Pinning.from_module(load_pin, has_files=True),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)


@hook
def robotrain_health() -> "Iterable[Check]":
    """Return the checks of `robotrain doctor`."""
    from robotrain_sources.huggingface import pin

    return pin.list_health_checks()
