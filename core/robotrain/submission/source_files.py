"""The few small files that describe a source, read from where it is."""

from collections.abc import Mapping, Sequence

from robotrain_runtime.contract.document import JobSource

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.source import SourceKind
from robotrain.submission.pin import FAILURES, explain_error, parse_source, query_in_parallel

make_problem = Messages(__file__)


class SourceFiles:
    """The files that describe pinned sources, each read once."""

    def __init__(self) -> None:
        self.files: dict[JobSource, Mapping[str, bytes]] = {}
        """Those of each source; none of one that cannot be read from here."""
        self.notes: list[Problem] = []
        """What could not be read."""

    def read_all(self, paths_by_source: Mapping[JobSource, Sequence[str]], kinds: Mapping[str, SourceKind]) -> None:
        """Read those of the paths that each source has, if it is pinned; all sources at once."""
        pinning_by_source = {
            source: pinning
            for source, paths in paths_by_source.items()
            if paths and source.pin and source not in self.files and source.kind in kinds
            if (pinning := kinds[source.kind].pinning)
        }

        def read(source: JobSource) -> Mapping[str, bytes]:
            paths = paths_by_source[source]
            try:
                return pinning_by_source[source].read_files(parse_source(source, kinds), source.role, source.pin, paths)
            except FAILURES as error:
                reason = explain_error(error, source.kind)
                self.notes.append(make_problem("sources-unread", where=source.role, uri=source.uri, why=reason))
                return {}

        unread_sources = [*pinning_by_source]
        self.files |= dict(zip(unread_sources, query_in_parallel(read, unread_sources), strict=True))
