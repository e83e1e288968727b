"""Where Terraform's state of a project is: the folder that was named for it, or the usual ones."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.project_place import NAME, above
from robotrain.provenance import Value, own_name
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.layers import NameLayer
    from robotrain.project import Project

SETTING = own_name("terraform")
OFF = "none"
"""Said in place of a folder: Terraform is not asked."""
USUAL = ("infrastructure/terraform", "deploy/001-iac")


def find(names: Sequence[NameLayer], project: Project | None, folder: Path) -> Path | None:
    """The folder to read outputs in, None where there is none. Raises Rejected for a named one without state."""
    said = next((value for layer in names if (value := layer.first((SETTING,)))), None)
    if said:
        return _named(said, folder)
    if project and project.terraform:
        return _named(project.terraform, project.folder)
    return next((place for place in _usual(folder) if _has_state(place)), None)


def shown(folder: Path) -> str:
    """A folder as messages name it."""
    return redact(os.path.relpath(folder))


def _usual(folder: Path) -> Iterator[Path]:
    """Below the working folder, then below the top of its git checkout."""
    top = next((place for place in above(folder) if (place / ".git").exists()), folder)
    yield from (base / name for base in dict.fromkeys((folder, top)) for name in USUAL)


def _named(said: Value, base: Path) -> Path | None:
    text = str(said.value)
    if text == OFF:
        return None
    folder = Path(os.path.normpath(base / os.path.expanduser(text)))
    if not _has_state(folder):
        raise Rejected([_stateless(said, folder)])
    return folder


def _has_state(folder: Path) -> bool:
    return (folder / "terraform.tfstate").is_file() or (folder / ".terraform").is_dir()


def _stateless(said: Value, folder: Path) -> Problem:
    there = folder.is_dir()
    return Problem(
        code="terraform-folder",
        stage=Stage.RESOLVE,
        title=f"the folder for Terraform {'holds no state' if there else 'is not there'}",
        where=said.origin.where,
        given=redact(str(said.value)),
        why="State is a file terraform.tfstate there, or a folder .terraform."
        if there
        else f"Looked for: {redact(str(folder))}",
        instead=(
            *(
                [Instead(f"terraform -chdir={shlex.quote(shown(folder))} init", "finds its state again")]
                if there
                else []
            ),
            Instead(f"{SETTING}=FOLDER", f'or terraform = "FOLDER" in {NAME}; {OFF}: Terraform is not asked'),
        ),
    )
