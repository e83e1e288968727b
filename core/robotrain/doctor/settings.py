"""The files of the working folder that settings are read from."""

import os
from collections.abc import Iterator
from pathlib import Path

from robotrain import layers, project, project_place
from robotrain.health import Finding, of_problem, ok
from robotrain.problem import Problem


def settings() -> Iterator[Finding]:
    """`.env.local`, `.env` and `robotrain.toml`: whether they can be read."""
    here = Path.cwd()
    read: list[str] = []
    problems: list[Problem] = []
    for layer in layers.dotenv_layers(here):
        read.append(layer.layer)
        problems += layer.problems
    if found := project.chosen(here):
        read.append(os.path.relpath(found.folder / project_place.NAME))
        problems += found.problems
    yield from map(of_problem, problems)
    if not problems:
        yield ok(", ".join(read) if read else f"none in {here}")
