"""The few small files that describe a source, read from where it is."""

from collections.abc import Mapping, Sequence

from robotrain_runtime.contract.document import JobSource

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.source import SourceKind
from robotrain.submission.pin import (
    FAILURES,
    explain_error,
    parse_source,
    query_in_parallel,
)

make_problem = Messages(__file__)


class SourceFiles:
    """The files that describe pinned sources, each read once.

    After a source that cannot be read, no other of its kind is.
    """

    def __init__(self) -> None:
        self._files: dict[JobSource, Mapping[str, bytes]] = {}
        self._silent_kinds = set[str]()
        self.notes: list[Problem] = []
        """What could not be read."""

    def read_all(self, files_by_source: Mapping[JobSource, Sequence[str]], kinds: Mapping[str, SourceKind]) -> None:
        """Read the files of several sources: one of each kind, then the others together."""
        firsts = {source.kind: source for source in reversed([*files_by_source])}.values()
        for part in ([*firsts], [source for source in files_by_source if source not in firsts]):
            query_in_parallel(lambda source: self.read(source, kinds, files_by_source[source]), part)

    def read(self, source: JobSource, kinds: Mapping[str, SourceKind], paths: Sequence[str]) -> Mapping[str, bytes]:
        """Return those of `paths` that a source has; none of one that is not pinned or cannot be read from here."""
        pinning = kinds[source.kind].pinning if source.kind in kinds else None
        if not (paths and source.pin and pinning):
            return {}
        if source not in self._files and source.kind not in self._silent_kinds:
            try:
                self._files[source] = pinning.read_files(parse_source(source, kinds), source.role, source.pin, paths)
            except FAILURES as error:
                if source.kind in self._silent_kinds:  # another one was just found not to be readable
                    return {}
                self._silent_kinds.add(source.kind)
                reason = explain_error(error, source.kind)
                self.notes.append(make_problem("sources-unread", where=source.role, uri=source.uri, why=reason))
        return self._files.get(source, {})
