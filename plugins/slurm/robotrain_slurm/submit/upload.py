"""Folders of this machine that nodes do not see, copied into the cache of the cluster: once for each content.

The copy goes by ssh to a login node, and by the shell where this machine submits the jobs.

The files come into a folder beside the final one, which is renamed when all are there. A copy that was interrupted goes
on with the files that are missing; one that is not pinned begins again, since nobody knows whether the folder is the
same. The lock has another name than those of the cache's entries: so nothing that prunes the cache removes what a
queued job needs.

`DIGEST.runs` has a file for each run that reads the folder, with the path of its run folder. The folder goes with the
last of these (`prune`). A submit marks it before it asks whether it is there, and a removal looks for marks
again once the folder is renamed: so one of them sees the other.
"""

import os
import shlex
import stat
import tarfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, cast

from robotrain.cluster.outputs import print_progress
from robotrain.errors import NotSubmitted, Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.redaction import redact
from robotrain.run_folder.transport import Transport, parse_count
from robotrain_runtime.contract.checkpoint import MANIFEST
from robotrain_runtime.contract.document import DOCUMENT_FILE, DocumentError, JobSource, parse_document
from robotrain_sources.local_path import folder_content
from robotrain_sources.local_path import upload as local_upload
from robotrain_sources.local_path.byte_progress import ByteProgress
from robotrain_sources.local_path.upload import FolderContent

from robotrain_slurm.spec.submission_spec import SUBMISSION
from robotrain_slurm.spec.uploads import UPLOADS_FOLDER, FolderUpload, list_uploads

make_problem = Messages(__file__)

ENGINE = "Slurm"
DAYS = 7 * 86400.0
REMOVAL_SECONDS = 600.0
STALL_SECONDS = 3600.0
LATER = "The files that have come stay; the same command copies the rest."
BUSY = 75
"""The exit code of a script where another submit copies the same folder."""
ASK = """\
for folder in {folders}; do
  sizes=
  [ ! -d "$folder" ] || sizes=$(cd "$folder" && find . -type f ! -path ./{manifest} -printf '+%s')
  echo $(printf %s "$sizes" | tr -dc + | wc -c) $((0$sizes))
done
"""
"""Print how many files of how many bytes are in each folder: a cluster may purge some that nobody read for long."""
LOCK = """\
folder={folder}
part=$folder.part
umask 077
mkdir -p "$(dirname "$folder")" && exec 9>>"$folder.copylock" || exit 1
flock -n -E {busy} 9 2>/dev/null
[ $? -ne {busy} ] || exit {busy}
touch "$folder.copylock"
"""
SKIP_COMPLETE = '[ ! -d "$folder" ] || exit 0\n'
CREATE = 'mkdir -p "$part"'
BEGIN_AGAIN = 'rm -rf "$part" "$folder" && mkdir -p "$part"'
REMOVE_PART = 'rm -rf "$part"'
RECEIVE = 'tar -xmf - -C "$part" --no-same-permissions'
REPAIR = 'rm -rf "$part" && cp -al "$folder" "$part"'
"""Jobs may read what is left of a folder while the rest is copied."""
REPLACE = 'rm -rf "$folder.gone"; mv -T "$folder" "$folder.gone" || exit\n'
FINISH = """\
[ "$(find "$part" -type f | wc -l)" -ge {count} ] || { echo 'not all files have come' >&2; exit 1; }
if [ {count} -le 1000 ]; then find "$part" -type f -exec sync {} +; else sync -f "$part"; fi 2>/dev/null || sync
mv -T "$part" "$folder"
"""
"""The disk may be busy with the files of others: only of very many files, all that is not written yet is awaited."""
MARK = """\
umask 077
for folder in {folders}; do
  mkdir -p "$folder.runs" && printf '%s\\n' {run_folder} >"$folder.runs/"{run} || exit 1
done
"""
FIRST_DOCUMENT = """\
document=$(find {folder} -maxdepth 3 -name {name} -type f -print -quit) && [ -z "$document" ] || cat -- "$document"
"""
RELEASE = """\
is_used() {
  for mark in "$1.runs"/*; do
    if [ -f "$mark" ] && [ "$mark" != "$1.runs/"{run} ]; then
      if [ -d "$(cat -- "$mark")" ] || [ -z "$(find "$mark" -mmin +{minutes})" ]; then return 0; fi
    fi
  done
  return 1
}
freed=0
for mine in {uploads}/*.runs/{run}; do
  [ -f "$mine" ] || continue
  folder=${mine%.runs/*}
  if ! is_used "$folder"; then
    size=$(du -s -B1 -- "$folder" 2>/dev/null)
    size=${size%%[!0-9]*}
    freed=$((freed + ${size:-0}))
    [ {removes} = yes ] || continue
    gone=$folder.gone
    mv -T "$folder" "$gone" 2>/dev/null
    if is_used "$folder"; then
      mv -nT "$gone" "$folder" 2>/dev/null
    else
      rm -rf "$folder.part" "$folder.copylock"
    fi
    rm -rf "$gone"
  fi
  [ {removes} = no ] || { rm -f "$mine"; rmdir "$folder.runs" 2>/dev/null; }
done
echo $freed
"""
"""Remove the folders that no other run reads. A mark counts while its run folder is there, or soon will be."""
SUBMIT_MINUTES = 1440
"""How long a submit may take at most from its mark to the run folder."""


def find_uploaded(transport: Transport, plan: Plan) -> list[JobSource]:
    """Return the folders of a plan that the cluster has as they were pinned. Raise Rejected."""
    uploads = list_uploads(plan)
    complete_uploads = find_complete(transport, uploads)
    return [
        source
        for upload in complete_uploads
        for source in local_upload.select_uploaded_sources(uploads[upload], [(upload.path, upload.to)])
    ]


def find_complete(transport: Transport, uploads: Collection[FolderUpload]) -> list[FolderUpload]:
    """Return the uploads that are there as they were pinned. Raise Unreached, Rejected."""
    pinned_uploads = [upload for upload in uploads if upload.is_pinned]
    if not pinned_uploads:
        return []
    script = ASK.replace("{folders}", shlex.join(upload.to for upload in pinned_uploads)).replace(
        "{manifest}", MANIFEST
    )
    lines = transport.query(script).text.splitlines()
    contents = [(upload.content.files, upload.content.size) for upload in pinned_uploads if upload.content]
    return [
        upload
        for upload, content, line in zip(pinned_uploads, contents, lines, strict=True)
        if content == tuple(map(int, line.split()))
    ]


def check_uploads(transport: Transport, plan: Plan) -> Iterator[Problem]:
    """Check the folders that the cluster lacks, and say how much is to be copied. Raise Unreached, Rejected."""
    uploads = list_uploads(plan)
    complete_uploads = find_complete(transport, uploads)
    for upload, part in uploads.items():
        if upload in complete_uploads:
            continue
        problems = [*local_upload.check_upload(part, upload, Stage.PREFLIGHT, ENGINE)]
        if problems:
            yield from problems
        else:
            target = transport.host or "the cluster's cache"
            there = Suggestion(f"{upload.flag} {_format_place(transport, '/PATH')}", "if it is on the cluster already")
            yield local_upload.describe_upload(part, upload, target, upload.to, there, is_kept=upload.is_pinned)
        yield from local_upload.check_upload_secrets(part, upload)


def _format_place(transport: Transport, path: str) -> str:
    """Return a path as it is typed on this machine."""
    return f"{transport.host}:{path}" if transport.host else path


def upload_folders(transport: Transport, plan: Plan) -> list[str]:
    """Copy what the cluster does not have yet; return a line for each upload. Raise Rejected, NotSubmitted."""
    uploads = list_uploads(plan)
    problems = {upload: local_upload.find_upload_problems(part, upload, ENGINE) for upload, part in uploads.items()}
    if uploads:
        _mark_used(transport, plan, uploads)
    complete_uploads = find_complete(transport, uploads)
    _, blocking = local_upload.drop_complete(problems, lambda affected: [*{*affected} & {*complete_uploads}])
    if blocking:
        raise Rejected(blocking)
    for upload, part in uploads.items():
        if upload not in complete_uploads:
            _copy_folder(transport, upload, part)
    return [f"{upload.path} {_format_place(transport, upload.to)}" for upload in uploads]


def _mark_used(transport: Transport, plan: Plan, uploads: Collection[FolderUpload]) -> None:
    folder = SUBMISSION.load(plan, Stage.SUBMIT).folder
    folders = shlex.join(upload.to for upload in uploads)
    marks = MARK.replace("{folders}", folders).replace("{run_folder}", shlex.quote(folder))
    _run(transport, next(iter(uploads)), marks.replace("{run}", shlex.quote(os.path.basename(folder))))


def find_cache(transport: Transport, run_folder: str) -> str:
    """Return the cache of the jobs of a run; empty if that is not known. Raise Unreached, Rejected."""
    script = FIRST_DOCUMENT.replace("{folder}", shlex.quote(run_folder)).replace("{name}", DOCUMENT_FILE)
    with suppress(DocumentError):
        return parse_document(transport.query(script).text).placement.cache
    return ""


def release_folders(transport: Transport, run_folder: str, cache: str, *, dry_run: bool) -> int:
    """Remove what was copied for a run and no other one reads, unless `dry_run` is set; return the bytes.

    Raise Unreached, Rejected.
    """
    run = shlex.quote(os.path.basename(run_folder))
    script = RELEASE.replace("{run}", run).replace("{uploads}", shlex.quote(os.path.join(cache, UPLOADS_FOLDER)))
    script = script.replace("{minutes}", str(SUBMIT_MINUTES)).replace("{removes}", "no" if dry_run else "yes")
    return parse_count(transport.query(script, REMOVAL_SECONDS).text.strip())


def _copy_folder(transport: Transport, upload: FolderUpload, part: Plan) -> None:
    folder = local_upload.select_uploaded_part(part, upload.path)
    scanned_folder = local_upload.scan_folder(folder)
    lock = LOCK.replace("{folder}", shlex.quote(upload.to)).replace("{busy}", str(BUSY))
    is_purged = upload.is_pinned and transport.has_folder(upload.to)
    if is_purged:
        _run(transport, upload, lock + REPAIR)
    else:
        _run(transport, upload, lock + (SKIP_COMPLETE + CREATE if upload.is_pinned else BEGIN_AGAIN))
        lock += SKIP_COMPLETE
    present_files = {
        remote_file.path
        for remote_file in transport.list(f"{upload.to}.part")
        if scanned_folder.files.get(remote_file.path) == remote_file.size
    }
    missing_files = [name for name in scanned_folder.files if name not in present_files]
    resume_note = f"; {local_upload.format_file_count(len(present_files))} are there already" if present_files else ""
    print_progress(f"copying {upload.path} to {_format_place(transport, upload.to)}: {scanned_folder}{resume_note}")
    try:
        _run(transport, upload, lock + RECEIVE, partial(_write_files, folder, scanned_folder, missing_files))
        if change_problems := [*local_upload.find_changes(part, upload, "while it was copied")]:
            _run(transport, upload, lock + REMOVE_PART)
            raise Rejected(change_problems)
        finish = FINISH.replace("{count}", str(len(scanned_folder.files)))
        _run(transport, upload, lock + (f'{REPLACE}{finish}rm -rf "$folder.gone"\n' if is_purged else finish))
    except KeyboardInterrupt:  # what has come stays, and the next try goes on with it
        raise NotSubmitted from None


def _run(transport: Transport, upload: FolderUpload, script: str, write: "_Write | None" = None) -> None:
    try:
        result = transport.run(script, write or b"", DAYS, stall_seconds=STALL_SECONDS if write is None else DAYS)
    except Rejected as failure:
        problems = [replace(problem, why=f"{problem.why} {LATER}".strip()) for problem in failure.problems]
        raise Rejected(problems, transient=failure.transient) from None
    except OSError as error:
        reason = f"{error.filename or upload.path}: {error.strerror or error}"
        raise Rejected([make_problem("slurm-not-uploaded", where=upload.flag, given=upload.path, why=reason)]) from None
    if result.exit_code == BUSY:
        raise Rejected([make_problem("slurm-upload-busy", where=upload.flag, given=upload.path)], transient=True)
    if result.exit_code:
        last_line = redact(result.stderr.strip().rpartition("\n")[2], max_length=300).rstrip(".")
        reason = last_line or f"the command there ended with exit code {result.exit_code}"
        raise Rejected([make_problem("slurm-not-uploaded", where=upload.flag, given=upload.path, why=reason)])


_Write = partial[None]


def _write_files(folder: Path, content: FolderContent, names: Sequence[str], stream: IO[bytes]) -> None:
    """Write files as an archive. Raise OSError."""
    progress = ByteProgress(sum(content.files[name] for name in names))
    paths = {path: Path(member.path) for path, member in folder_content.list_entries(folder)}
    with tarfile.open(fileobj=stream, mode="w|", bufsize=1 << 20) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            with paths[name].open("rb") as file:
                mode = paths[name].stat().st_mode
                member.size, member.mode = content.files[name], 0o755 if mode & stat.S_IXUSR else 0o644
                archive.addfile(member, cast(IO[bytes], _CountedFile(file, progress)))  # it only reads


class _CountedFile:
    """A file whose bytes are counted as they are read."""

    def __init__(self, file: IO[bytes], progress: ByteProgress) -> None:
        self._file, self._progress = file, progress

    def read(self, size: int = -1) -> bytes:
        """Read a part of the file."""
        piece = self._file.read(size)
        self._progress.add_bytes(len(piece))
        return piece
