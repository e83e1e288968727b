"""Runs in the data environment: fetches a repository of the Hub, every file verified, into a folder for its commit.

`python -m robotrain_sources.huggingface.fetch REPOSITORY [--revision REVISION] --repo-type model|dataset --to FOLDER`
"""

import argparse
import hashlib
import importlib
import os
import shutil
from pathlib import Path
from typing import Any

from robotrain_sources.fetching import answer, landing, names, parallel, progress
from robotrain_sources.huggingface import choice, unfetched

CONNECTIONS = 4
PATIENCE = 20.0
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",  # its warnings repeat addresses with their signatures
}


class Fetching:
    """One repository at one revision. hub: the `huggingface_hub` module."""

    def __init__(self, hub: Any, asked: argparse.Namespace) -> None:
        self._hub = hub
        self._asked = asked

    def into(self, to: Path) -> Path:
        """The folder below `to` that holds the files of the commit. Raises Refused."""
        with unfetched.told(self._to_the_hub()):
            found = self._hub.HfApi().repo_info(
                self._asked.repository,
                revision=self._asked.revision or None,
                repo_type=self._asked.repo_type,
                files_metadata=True,
                timeout=PATIENCE,
            )
            return landing.land(to / str(found.sha), lambda folder: self._fill(folder, found))

    def _to_the_hub(self) -> unfetched.Asked:
        asked = self._asked
        return unfetched.Asked(
            repository=asked.repository,
            kind=asked.repo_type,
            revision=asked.revision,
            token=bool(self._hub.get_token()),
        )

    def _fill(self, folder: Path, found: Any) -> None:
        known = {file.rfilename: file for file in found.siblings or ()}
        wanted = choice.wanted(known)
        if not wanted:
            raise answer.Refused(f"{self._name} holds no files at {found.sha}")
        if wrong := names.wrong_with(wanted):
            raise answer.Refused(f"{self._name} at {found.sha}: {wrong}")
        with progress.told(f"{self._name}@{found.sha[:8]}", sum(known[name].size or 0 for name in wanted), folder):
            parallel.each(lambda name: self._one(folder, found.sha, known[name]), wanted, CONNECTIONS)
        shutil.rmtree(folder / names.DEBRIS, ignore_errors=True)  # where the library notes what it has done

    def _one(self, folder: Path, commit: str, file: Any) -> None:
        path = self._hub.hf_hub_download(
            self._asked.repository, file.rfilename, repo_type=self._asked.repo_type, revision=commit, local_dir=folder
        )
        if _digest(Path(path), file) != (file.lfs.sha256 if file.lfs else file.blob_id):
            raise answer.Refused(f"{file.rfilename} of {self._name} did not arrive as the Hub has it: try again")

    @property
    def _name(self) -> str:
        return str(self._asked.repository)


def _digest(path: Path, file: Any) -> str:
    """What the Hub knows the file by: the SHA-256 of a large one, git's name for a small one."""
    digest = hashlib.sha256() if file.lfs else hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as content:
        while piece := content.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def main() -> None:
    """Fetch what the command line says."""
    parser = argparse.ArgumentParser(prog="fetch")
    parser.add_argument("repository")
    parser.add_argument("--revision", default="")
    parser.add_argument("--repo-type", choices=("model", "dataset"), required=True)
    parser.add_argument("--to", type=Path, required=True)
    asked = parser.parse_args()
    os.environ.update(QUIET)
    answer.main(lambda: Fetching(importlib.import_module("huggingface_hub"), asked).into(asked.to))


if __name__ == "__main__":
    main()
