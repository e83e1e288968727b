"""The source kind `blob_url`: folders of blobs in Azure Storage."""

import re
from collections.abc import Iterable

from robotrain.model.source import PinModule, Pinning, RoleFlag, Source, SourceKind
from robotrain.plugins.hookspecs import hook

from robotrain_sources.blob_url import reference
from robotrain_sources.role_flags import CHECKPOINT, INIT_POLICY, RESUME, SCENES

ADDRESS_HINT = (
    r"(?i)\s*(?:(?:wasbs?|abfss?)://|(?:https?:)?/{0,2}[^/\\?#\s]*\.(?:blob|dfs|file)\.(?:core|storage|fabric)\.)"
)
_FILE_SUFFIX = (
    r"(?i)\.(?:parquet|jsonl?|csv|txt|ya?ml|mp4|avi|mkv|png|jpe?g|zip|tar|t?gz|zst|7z|h5|hdf5|np[yz]|pkl|onnx"
    r"|safetensors|db3|mcap|bag)$"
)


def find_warnings(source: Source) -> list[str]:
    """Return warnings about a valid URL that is probably a mistake."""
    is_file = re.search(_FILE_SUFFIX, str(source).split("/", 4)[-1])
    return ["This looks like a single file; a blob URL names the folder of the files."] if is_file else []


def load_pin() -> PinModule:
    """Import what pins a source."""
    from robotrain_sources.blob_url import pin

    return pin


KIND = SourceKind(
    name=reference.BlobPrefix.kind,
    title="blob URLs",
    form=reference.FORM,
    example="https://account.blob.core.windows.net/datasets/pusht",
    help="A folder in Azure Storage: every blob below the prefix.",
    roles={
        "dataset": RoleFlag(
            "--blob-url", env=("BLOB_URLS",), help="A dataset in Azure Storage: all below the prefix.", common=True
        ),
        "policy": RoleFlag(
            "--policy-url", repeatable=False, help="A policy in Azure Storage to go on from, or to evaluate."
        ),
        "reference": RoleFlag("--reference-url", help="A policy in Azure Storage to compare the evaluated one with."),
        "init_policy": INIT_POLICY,
        "checkpoint": CHECKPOINT,
        "resume": RESUME,
        "backbone": RoleFlag(
            "--backbone-url",
            help="A backbone or tokenizer that the policy names, in Azure Storage: the last two parts of the URL are "
            "its name.",
            form="https://…/OWNER/NAME",
            copy_form="https://…/OWNER/NAME",
        ),
        "scenes": SCENES,
    },
    recognizes=lambda text: bool(re.match(ADDRESS_HINT, text)),
    parse=lambda text, base: reference.parse_blob_url(text),
    container_plugin="robotrain_sources.blob_url.fetch",
    target="robotrain_sources.blob_url.target",
    warn=find_warnings,
    pinning=Pinning.from_module(load_pin, has_files=True),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
