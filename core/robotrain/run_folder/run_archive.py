"""What is sent to the machine that submits a run, as one archive."""

import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from robotrain.model.plan import Plan
from robotrain.run_folder.file_names import PAYLOAD_FOLDER
from robotrain.run_folder.scheduler_plan import PAYLOAD_FILE, SchedulerSpec, list_code_copies
from robotrain.store import code_folder

DIGEST_FILE = "plan.digest"
"""In the run folder: the digest of the plan whose files it has. It is written last."""


def pack_run_folder(plan: Plan, spec: SchedulerSpec, other_files: Mapping[str, bytes]) -> bytes:
    """Return an archive of what the run folder begins with: the plan, its unpacked payload and the user's code.

    Raise OSError.

    :param other_files: further files, by their path.
    """
    with zipfile.ZipFile(io.BytesIO(plan.files[PAYLOAD_FILE])) as payload:
        paths = [path for path in payload.namelist() if not path.endswith("/")]
        files = {**plan.files, **other_files, **{f"{PAYLOAD_FOLDER}/{path}": payload.read(path) for path in paths}}
    copies = {folder: source for source, folder in list_code_copies(plan.files, spec.jobs)}
    folders = {
        os.path.relpath(folder, spec.folder): code_folder.stage_folder(Path(source.uri), source.pin)
        for folder, source in copies.items()
    }
    return pack_files({**files, DIGEST_FILE: plan.digest.encode()}, folders)


def pack_files(files: Mapping[str, bytes], folders: Mapping[str, Path] = {}) -> bytes:
    """Return an archive of folders, by their path in it, and then files. Raise OSError."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, folder in folders.items():
            archive.add(folder, path)
        for path, file_bytes in files.items():
            archive_member = tarfile.TarInfo(path)
            archive_member.size, archive_member.mode = len(file_bytes), 0o666
            archive.addfile(archive_member, io.BytesIO(file_bytes))
    return buffer.getvalue()
