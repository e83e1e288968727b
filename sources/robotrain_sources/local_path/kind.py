"""The source kind `local_path`: folders of the machine that runs the job."""

import os.path
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.model.source import PinModule, Pinning, RoleFlag, SourceError, SourceKind
from robotrain.plugins.hookspecs import hook

from robotrain_sources.local_path.remote_folder import RemoteFolder, is_remote, parse_remote_folder
from robotrain_sources.role_flags import CHECKPOINT, CODE, RESUME, make_scenes_flag
from robotrain_sources.torchvision import weights_table

FORM = "FOLDER"

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_URL = r"(?i)azureml:|file:|[a-z][a-z0-9+.-]+:[/\\]|(?://)?[^/?#\s]+\.(?:blob|dfs|file)\.core\."
_FILE_URL = r"(?i)file:(?://(?:localhost)?)?(/[^/?#%][^?#%]*)"


@dataclass(frozen=True)
class LocalFolder:
    """An absolute path in its normal form; the folder need not exist on this machine."""

    kind: ClassVar[str] = "local_path"

    path: str

    def __str__(self) -> str:
        return self.path


def parse_folder(text: str, base: Path) -> LocalFolder:
    """Return the folder that `text` names, relative to `base`. Raise SourceError."""
    if not text.strip():
        raise SourceError("The path is empty.")
    if re.search(_CONTROL, text):
        raise SourceError("A path contains no control characters, and is valid Unicode.")
    if re.match(_URL, text.lstrip()):
        if local := re.fullmatch(_FILE_URL, text.strip()):
            raise SourceError("Use the path without `file:`.", os.path.normpath(local[1]))
        raise SourceError("An address is not a local folder.")
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise SourceError(
            "There is no such user on this machine; write `./` before a folder whose name begins with `~`."
        )
    path = os.path.normpath(os.path.join(os.path.abspath(base), expanded))
    return LocalFolder("/" + path.lstrip("/") if path.startswith("//") else path)


def find_warnings(folder: LocalFolder) -> list[str]:
    """Return that a file of weights is none of torchvision's, whose digests are known."""
    # Help reads this module, and these two cost it more than its ceiling leaves.
    from robotrain_runtime.contract.checkpoint import hash_file

    from robotrain_sources.local_path import folder_content

    path = Path(folder.path)
    if not folder_content.is_used_file(path, "backbone"):
        return []
    try:
        digest = hash_file(path)
    except OSError:  # reported elsewhere
        return []
    is_known = any(digest.startswith(prefix) for _, prefix in weights_table.WEIGHTS.values())
    return [] if is_known else [f"the file is none of torchvision's: its SHA-256 is {digest}"]


def parse_source(text: str, base: Path) -> LocalFolder | RemoteFolder:
    """Return the folder that `text` names, of another machine if a host stands before it. Raise SourceError."""
    return parse_remote_folder(text) if is_remote(text) else parse_folder(text, base)


_HINT = r"(?i)\s*(?:/(?!/)|\.\.?(?:/|$)|~|file:)"
_FOLDER_NAME = r"[^:/\s]+/?"
"""Where no other kind has names without a slash."""


def load_pin() -> PinModule:
    """Import what pins a source."""
    from robotrain_sources.local_path import pin

    return pin


KIND = SourceKind(
    name=LocalFolder.kind,
    title="local folders",
    form=FORM,
    example="/data/episodes",
    help="A folder of the machine that runs the job.",
    roles={
        "dataset": RoleFlag("--dataset-path", help="A dataset in a folder of this machine.", common=True),
        "policy": RoleFlag(
            "--policy-path",
            repeatable=False,
            help="A trained policy to fine-tune or to evaluate: its folder, or that of a checkpoint.",
        ),
        "reference": RoleFlag(
            "--reference-path",
            help="A policy to compare the evaluated one with: its folder, or that of a checkpoint.",
        ),
        "checkpoint": CHECKPOINT,
        "resume": RESUME,
        "code": CODE,
        "backbone": RoleFlag(
            "--backbone-path",
            help="A backbone or tokenizer that the policy names, in a folder of the machine that runs the job: the "
            "last two parts of the path are its name. Or a file with weights that the cameras' network starts from.",
            form="…/OWNER/NAME|FILE.pth",
            copy_form="…/OWNER/NAME",
        ),
        "scenes": make_scenes_flag(lambda text: bool(re.match(_HINT, text) or re.fullmatch(_FOLDER_NAME, text))),
    },
    recognizes=lambda text: bool(re.match(_HINT, text)),
    parse=parse_source,
    warn=find_warnings,  # type: ignore[arg-type]
    container_plugin="robotrain_sources.local_path.container",
    pinning=Pinning.from_module(load_pin),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
