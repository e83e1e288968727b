"""The source kind `https_file`: single files at web addresses."""

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from robotrain.model.source import Source, SourceError, SourceKind
from robotrain.plugins.hookspecs import hook
from robotrain.redaction import holds_secret

from robotrain_sources.blob_url.kind import ADDRESS_HINT
from robotrain_sources.https_file import reference
from robotrain_sources.role_flags import CHECKPOINT


def parse_source(text: str, base: Path) -> Source:
    """Return the file that `text` addresses. Raise SourceError."""
    file = reference.parse_https_file(text)
    if holds_secret(unquote(str(file))):
        raise SourceError("The URL seems to contain a secret, and a job must not contain secrets.")
    return file


KIND = SourceKind(
    name=reference.HttpsFile.kind,
    title="files at https URLs",
    form=reference.FORM,
    example="https://example.org/policies/model_300.pt",
    help="One file at a web address; over http only with its SHA-256.",
    roles={"checkpoint": CHECKPOINT},
    recognizes=lambda text: bool(re.match(r"(?i)\s*https?://", text)) and not re.match(ADDRESS_HINT, text),
    parse=parse_source,
    container_plugin="robotrain_sources.https_file.fetch",
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
