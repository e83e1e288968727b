"""Run folders of another machine, which a transport reads and writes."""

import errno
import math
import os
import shlex
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import IO, ClassVar, Self

from robotrain_runtime.contract import checkpoint, claim
from robotrain_runtime.contract.address import TRACKING_VARIABLES
from robotrain_runtime.contract.document_limits import MAX_RUN_FILE_BYTES
from robotrain_runtime.contract.event import Registered

from robotrain.cluster.outputs import download_atomically
from robotrain.model.run import Output
from robotrain.run_folder import file_names, model_registration, outputs, removal
from robotrain.run_folder.answer import CHUNK_BYTES
from robotrain.run_folder.copied_output import make_links
from robotrain.run_folder.events_copy import EventsCopy
from robotrain.run_folder.facts import FactFile, FolderFacts
from robotrain.run_folder.log import FolderLog, LogReader
from robotrain.run_folder.outline import open_outline
from robotrain.run_folder.run_folders import RunFolders
from robotrain.run_folder.scheduler_plan import SEARCH_FILE
from robotrain.run_folder.transport import (
    FIND_PATH,
    MAX_ENTRIES,
    READ_FILE,
    FileState,
    Transport,
    format_file,
    parse_count,
    parse_file,
)
from robotrain.store.ownership import Access, explain_access

POLL_SECONDS = 1.0
DAY_SECONDS = 86400.0
OTHERS = "of another user"
FILES_LEFT = 65
"""The exit code of a removal that has begun and not come to its end."""
STALL_SECONDS = 60.0
"""After so long without a byte a download is given up."""
QUIET_SECONDS = 120.0
"""After so long in which it reads and writes nothing a runtime there is ended: MLflow waits 87 s for a server."""
BEAT_SECONDS = 4
"""How often a machine says that a long work goes on: before the user is told that it is waited for."""
GROWTH_BYTES = 1 << 28
"""By how much an output may have grown since it was listed."""
NAME_TYPES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
MAX_NAME_BYTES = 1 << 16
MEMBER_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)
GONE_CODE = 3
"""What a script ends with that finds nothing to copy."""
QUIET_CODE = 124
WORK = """\
list_processes() {{
  for at; do echo "$at"; list_processes $(cat /proc/"$at"/task/*/children 2>/dev/null); done
}}
{words} </dev/null &
work=$!
{{
  before= beats=0
  while sleep {seconds} >/dev/null 2>&1 && [ -d /proc/$work ]; do
    now=$(for at in $(list_processes $work); do head -n 2 /proc/"$at"/io; done 2>/dev/null)
    if [ -z "$now" ] || [ "$now" != "$before" ]; then echo; beats=0; fi
    before=$now beats=$((beats + 1))
    [ $beats -le {most_beats} ] || {{ trap '' TERM; kill $(list_processes $work); exit {code}; }}
  done
}} &
beat=$!
wait $work 2>/dev/null
code=$?
kill $beat 2>/dev/null
wait $beat 2>/dev/null
[ $? != {code} ] || {{ code={code}; echo 'error: it read and wrote nothing for {quiet:g} s' >&2; }}
exit $code
"""
"""Run words. Print an empty line now and then if they, or what they started, have read or written something since;
end them if they have not for long.

`sleep` does not keep the answer open when the loop is ended. Where it is not told what is read, nothing is ended.
"""
READ_LINK = """\
read_link() {
  target=
  if [ -L "$1" ]; then target=$(readlink -- "$1") || exit; fi
  printf '%s\\n' "${target%%
*}"
}
"""
"""Define a function that prints the first line of what a link points to, or an empty line."""


def _parse_facts(folder: str, files: Mapping[str, int], lines: Iterator[str]) -> FolderFacts | None:
    """Return the facts in some lines. Raise ValueError for those of no answer."""
    user, *states, link = islice(lines, len(files) + 2)
    state_by_name = {
        name: parse_file(line, -max_bytes) for (name, max_bytes), line in zip(files.items(), states, strict=True)
    }
    if not user:
        return None
    owner = None
    with suppress(ValueError):  # no job has begun
        owner = claim.parse_owner(link)
    fact_files = {name: FactFile(state.content, state.modified) for name, state in state_by_name.items() if state}
    return FolderFacts(folder=Path(folder), user=parse_count(user), owner=owner, files=fact_files)


class FolderLogReader(LogReader):
    """A reader of a log on another machine.

    :param end: the end of the file as it was read already; None if there is none.
    """

    chunk_size = CHUNK_BYTES

    def __init__(self, transport: Transport, path: Path, tail: int | None, end: FileState | None) -> None:
        super().__init__(path)
        self._transport = transport
        self._known: bytes | None = None
        """What comes first, as far as it was read already."""
        if end is None:
            self._known = b""
        elif end.size == len(end.content) or (tail is not None and tail < end.content.count(b"\n")):
            self._known = end.content if tail is None else _keep_last_lines(end.content, tail)
            self._at = end.size - len(self._known)
        elif tail is not None:
            name = shlex.quote(str(path))
            tail_size = transport.query(f"head -c {end.size} -- {name} | tail -n {tail} | wc -c").text.strip()
            self._at = max(0, end.size - parse_count(tail_size))

    def read_chunk(self) -> bytes:
        """Return what stands in the file from where this is."""
        chunk, self._known = self._known, None
        if chunk is not None:
            return chunk
        state = self._transport.read({str(self._path): self._at})[str(self._path)]
        return state.content if state else b""


def _keep_last_lines(log_bytes: bytes, count: int) -> bytes:
    lines = log_bytes.split(b"\n")
    return b"\n".join(lines[-(count + (lines[-1] == b"")) :]) if count > 0 else b""


@dataclass(frozen=True)
class RemoteLog(FolderLog):
    """The log of a run on another machine."""

    at: Transport = field(kw_only=True)
    poll_seconds: ClassVar[float] = POLL_SECONDS

    @cached_property
    def ends(self) -> dict[str, FileState | None]:
        """The ends of the files as they are first."""
        return self.at.read({str(self.folder / name): -CHUNK_BYTES for name in (file_names.LOG_FILE, self.output_file)})

    def open(self, name: str, tail: int | None) -> LogReader:
        """Return a reader of a file of the run folder."""
        return FolderLogReader(self.at, self.folder / name, tail, self.ends[str(self.folder / name)])

    def get_modified(self, name: str) -> float:
        """Return when a file of the run folder was modified; 0 if there is none."""
        path = str(self.folder / name)
        state = self.ends[path] if path in self.ends else self.at.read({path: 1 << 60})[path]
        return state.modified if state else 0.0


def _fetch_output(transport: Transport, output: Output, scratch: Path) -> list[str]:
    """Copy an output to a new file or folder, and return the links that were left out. Raise OSError."""
    parent, name = (shlex.quote(part) for part in os.path.split(output.uri.rstrip("/")))
    links = dict[str, str]()
    find_script = f"{FIND_PATH}has_path {shlex.quote(output.uri)} || exit {GONE_CODE}\ncd {parent} || exit 1"
    files = f"find ./{name} \\( -type f -o -type d -o -type l \\) -print0 2>/dev/null"
    pack = "tar --format=gnu --null --no-recursion --hard-dereference -cf - -T -"
    receive = partial(_unpack, scratch, links, (output.size or 0) + GROWTH_BYTES)
    try:
        script = f"{find_script}\n{files} | {pack}"
        result = transport.run(script, seconds=DAY_SECONDS, receive=receive, stall_seconds=STALL_SECONDS)
    except tarfile.TarError:
        raise OSError("what came is no archive") from None
    if result.exit_code == GONE_CODE:
        raise OSError("it no longer exists")
    if result.exit_code:
        raise OSError(result.stderr.strip().rpartition("\n")[2] or f"tar ended with {result.exit_code}")
    if not os.path.lexists(scratch):
        raise OSError("nothing came")
    omitted_links = make_links(scratch, links, output.uri)
    if output.digest and (damage := checkpoint.validate_checkpoint(scratch)):
        raise OSError(damage.replace(str(scratch), output.uri))
    return omitted_links


class ArchiveMember(tarfile.TarInfo):
    """A member of an archive of the kinds that `tar --format=gnu` packs here.

    Others, such as sparse files, are described by headers of any size, which are read into memory.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the member of a header. Raise TarError."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in NAME_TYPES and member.size <= MAX_NAME_BYTES:
            return member
        if member.type not in MEMBER_TYPES:
            raise tarfile.ReadError("it has what was not asked for")
        return member


def _unpack(top: Path, links: dict[str, str], max_bytes: int, stream: IO[bytes]) -> bytes:
    """Write the members of an archive at `top`, which takes the place of its first folder. Raise OSError, TarError.

    The other machine decides no mode but whether its user may run a file. Links are only noted.
    """
    remaining_bytes = max_bytes
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=ArchiveMember) as archive:
        for count, member in enumerate(archive):
            if count >= MAX_ENTRIES:
                raise OSError(f"it has more than {MAX_ENTRIES} files")
            inner_parts = [part for part in member.name.split("/") if part != "."][1:]
            if ".." in inner_parts:
                raise OSError(f"{member.name!r} leads out of the output")
            path = top.joinpath(*inner_parts)
            if member.isdir():
                path.mkdir(exist_ok=True)
            elif member.issym():
                links["/".join(inner_parts)] = member.linkname
            elif member.isfile() and (member_file := archive.extractfile(member)):
                remaining_bytes -= member.size
                if remaining_bytes < 0:
                    raise OSError("it is larger than its size was said to be")
                mode = 0o777 if member.mode & 0o100 else 0o666
                with open(path, "xb", opener=partial(os.open, mode=mode)) as file:
                    while chunk := member_file.read(CHUNK_BYTES):
                        file.write(chunk)
    return b""


class RemoteRunFolders(RunFolders):
    """The run folders of another machine."""

    def __init__(self, transport: Transport) -> None:
        self._at = transport

    def exists(self, folder: str) -> bool:
        """Return whether there is such a folder."""
        return self._at.has_folder(folder)

    def read_file(self, file: Path) -> bytes:
        """Return a file. Raise OSError, ValueError."""
        file_bytes = self._at.read_whole(str(file), MAX_RUN_FILE_BYTES)
        if file_bytes is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
        return file_bytes

    def write_file(self, file: Path, content: bytes = b"") -> None:
        """Write a file as a whole. Raise OSError."""
        self._at.write(str(file), content, 0o644)

    def find_facts(self, folders: Iterable[str], files: Mapping[str, int]) -> list[FolderFacts | None]:
        """Return the facts of run folders, by one question; None for one that does not exist."""
        folders, script = [*folders], [READ_FILE, READ_LINK]
        for folder in folders:
            quoted_folder = shlex.quote(folder)
            link = shlex.quote(os.path.join(folder, claim.CLAIM_LINK))
            script.append(f"if [ -d {quoted_folder} ]; then stat -L -c %u -- {quoted_folder} || exit; else echo; fi")
            script += [format_file(os.path.join(folder, name), -max_bytes) for name, max_bytes in files.items()]
            script.append(f"read_link {link}")
        lines = iter(self._at.query("\n".join(script)).text.splitlines())
        return [_parse_facts(folder, files, lines) for folder in folders]

    def describe_surviving_checkpoints(self, folder: Path) -> Iterable[str]:
        """Return sentences about the last checkpoints in a run folder."""
        with open_outline(self._at, str(folder)) as outline:
            sentences = [*outputs.describe_surviving_checkpoints(outline)]
            return [sentence.replace(str(outline), str(folder)) for sentence in sentences]

    def open_log(self, folder: Path, output_file: str, prefix: str, end_sign: str) -> FolderLog | None:
        """Return the log of a run; None if there is no such folder."""
        remote_log = RemoteLog(folder, output_file, prefix, end_sign, at=self._at)
        return remote_log if any(remote_log.ends.values()) or self.exists(str(folder)) else None

    def find_events_file(self, folder: Path) -> Path | None:
        """Return this machine's copy of the events, which is kept up to date from now on; None before there are any."""
        copy = EventsCopy(self._at, str(folder))
        if not copy.update():
            return None
        copy.follow()
        return copy.path

    def update_events_file(self, folder: Path) -> None:
        """Add new events to that file, if somebody reads it."""
        copy = EventsCopy(self._at, str(folder))
        if copy.is_followed:
            copy.update()

    def list_outputs(self, folder: Path) -> Iterable[Output]:
        """Return the outputs in a run folder."""
        with open_outline(self._at, str(folder)) as outline:
            return [
                replace(output, uri=output.uri.replace(str(outline), str(folder), 1))
                for output in outputs.list_outputs(outline)
            ]

    def download(self, output: Output, to: Path, folder: Path) -> list[str]:
        """Copy one output of the run in a folder atomically, and return the links that were left out. Raise Rejected.

        What is no file, such as a pipe, is left out as well.
        """
        paths = " ".join(shlex.quote(str(path)) for path in (output.uri.rstrip("/"), folder))
        real_path, top, _ = self._at.query(f"realpath -mz -- {paths}").text.split("\0")
        if not f"{real_path}/".startswith(f"{top}/"):
            raise outputs.make_outside_error(output, real_path)
        omitted_links = list[str]()
        download_atomically(output, to, lambda scratch: omitted_links.extend(_fetch_output(self._at, output, scratch)))
        return omitted_links

    def register(self, folder: Path, name: str, step: int | None, top: Path) -> Registered:
        """Register a checkpoint of a run with its own runtime, there. Raise Rejected."""
        run = partial(self._run_runtime, top / SEARCH_FILE)
        payload = top / file_names.PAYLOAD_FOLDER
        return model_registration.register_model(folder, name, step, payload, run, self.find_other_writer)

    def find_other_writer(self, path: Path) -> str:
        """Return how somebody else may have written what is at a path there, as `ownership` does here."""
        access = f"stat -L --printf '%u\\n%U\\n%a\\n%G\\n' -- {shlex.quote(str(path))}"
        access_fields = self._at.query(f"{access} && id -u && id -un && id -gn").text.splitlines()
        owner_id, owner, mode, group, user_id, user, own_group = access_fields
        is_private = group == own_group == user
        return explain_access(Access(int(owner_id), owner, int(mode, 8), group, is_private, int(user_id), user))

    def _run_runtime(
        self, search: Path, folder: Path, arguments: list[str], payload: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run the runtime of a run, as `model_registration` does here. `search`: what finds a Python."""
        words = shlex.join(["/bin/sh", str(search), "-m", "robotrain_runtime", *arguments])
        script_lines = (
            f"cd {shlex.quote(str(folder))} || exit 1",
            f"unset {' '.join(TRACKING_VARIABLES)}",
            f"export PYTHONPATH={shlex.quote(str(payload))}",
        )
        max_beats = math.ceil(QUIET_SECONDS / BEAT_SECONDS)
        work_script = WORK.format(
            words=words, seconds=BEAT_SECONDS, most_beats=max_beats, quiet=QUIET_SECONDS, code=QUIET_CODE
        )
        stall = QUIET_SECONDS + STALL_SECONDS
        result = self._at.run("\n".join((*script_lines, work_script)), seconds=DAY_SECONDS, stall_seconds=stall)
        printed_text = "\n".join(line for line in result.text.splitlines() if line)
        return subprocess.CompletedProcess(words, result.exit_code, printed_text, result.stderr)

    def remove(self, folder: Path, dry_run: bool) -> int | None:
        """Remove a run folder unless `dry_run` is set. Return the bytes freed; None if it is another user's.

        Raise OSError.
        """
        quoted_folder = shlex.quote(str(folder))
        removed_path = removal.make_removed_path(folder)
        quoted_removed = shlex.quote(str(removed_path))
        script = (
            f"if [ -L {quoted_folder} ]; then echo {shlex.quote(removal.LINKED)} >&2; exit 1; fi",
            f"owner=$(stat -L -c %u -- {quoted_folder}) && me=$(id -u) || exit 1",
            f'if [ "$owner" != "$me" ]; then echo {OTHERS}; exit; fi',
            f"size=$(du -s -B1 -- {quoted_folder}) || exit 1",
            ""
            if dry_run
            else f"mv -T {quoted_folder} {quoted_removed} || exit 1; rm -rf {quoted_removed} || exit {FILES_LEFT}",
            "echo ${size%%[!0-9]*}",
        )
        result = self._at.run("\n".join(script), seconds=600.0)
        reason = result.stderr.strip().rpartition("\n")[2]
        if result.exit_code == FILES_LEFT:
            raise removal.make_files_left_error(folder, removed_path, reason)
        if result.exit_code:
            raise OSError(reason)
        size_text = result.text.removesuffix("\n")
        if size_text == OTHERS:
            return None
        size = parse_count(size_text)
        if not dry_run:
            EventsCopy(self._at, str(folder)).remove()
        return size
