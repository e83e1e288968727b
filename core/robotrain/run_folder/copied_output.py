"""Copies of a run's output: a link is kept where it leads to a part of the copy; nothing outside is followed to."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def is_inside(path: str | Path, folder: str | Path) -> bool:
    """Return whether what a path leads to is a folder, or below it."""
    real_path = os.path.realpath(path)
    top = os.path.realpath(folder)
    return os.path.commonpath((real_path, top)) == top


def copy_output(source: Path, to: Path) -> list[str]:
    """Copy a file, or a folder to a new one. Raise OSError.

    Return the paths in it that were left out: links that lead out of it, or to nothing, and what is no file.
    """
    if not source.is_dir():
        shutil.copy2(source, to)
        return []
    links = dict[str, str]()
    omitted_paths = list[str]()
    for folder, folder_names, files in os.walk(source, onerror=_raise):
        inner_folder = os.path.relpath(folder, source)
        (to / inner_folder).mkdir()
        for name in (*folder_names, *files):
            path = os.path.join(folder, name)
            inner_path = os.path.normpath(os.path.join(inner_folder, name))
            if os.path.islink(path):
                links[inner_path] = os.readlink(path)
            elif os.path.isfile(path):
                shutil.copy2(path, to / inner_path, follow_symlinks=False)
            elif not os.path.isdir(path):
                omitted_paths.append(inner_path)
    return sorted([*omitted_paths, *make_links(to, links, str(source))])


def _raise(error: OSError) -> None:
    raise error


def make_links(top: Path, links: Mapping[str, str], source: str) -> list[str]:
    """Make the links of a copied folder, each by its path there with its target, after all its files.

    Return those left out: they would lead out of it, or to nothing.

    :param source: the folder that was copied, in which an absolute target may be.
    """
    made_links = []
    for name, target in links.items():
        folder = os.path.dirname(name)
        if os.path.isabs(target):
            target = os.path.relpath(target, os.path.join(source, folder))
        if os.path.normpath(os.path.join(folder, target)).split(os.sep)[0] != os.pardir:
            (top / name).symlink_to(target)
            made_links.append(name)
    broken_links = [name for name in made_links if not ((top / name).exists() and is_inside(top / name, top))]
    for name in broken_links:  # to nothing, or out through another link
        (top / name).unlink()
    return sorted({*links}.difference(made_links).union(broken_links))
