"""Where in a folder a trained policy lies, and whether it is whole: a checkpoint holds more than the model.

Standard library only.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime import checkpoint

POLICIES = ("policy", "init_policy")
FILES = ("config.json", "model.safetensors")
ADAPTER = "adapter_config.json"
MODEL = "pretrained_model"
CHUNK = 1 << 20


def used(folder: Path, role: str) -> Path | None:
    """The part of `folder` that a role uses: all of it, of a policy the model alone; None where that is missing."""
    if role not in POLICIES:
        return folder
    sealed = checkpoint.read(folder)
    parts = (folder, folder / MODEL, *([folder / sealed.model] if sealed else []))
    return next((part for part in parts if not _missing(part)), None)


def wrong(folder: Path) -> str:
    """Why there is no policy in `folder`, and on a second line what to type where that is known."""
    part = folder / MODEL if (folder / MODEL).is_dir() else folder
    if (part / ADAPTER).is_file():
        return f"{part} holds a PEFT adapter, not a policy: merge it into its base policy first."
    missing = _missing(part)
    sentence = f"{part} holds no policy: {' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing."
    near = next(_policies_below(folder), None)
    return f"{sentence}\n--policy-path {near}" if near else sentence


def torn(part: Path, role: str) -> str:
    """Why a checkpoint that was sealed is not what was saved, as a sentence without a full stop.

    Empty when every byte is, and when nobody sealed it. Of a policy only the model counts: the rest may be thrown away.
    """
    for folder in (part, part.parent):
        sealed = checkpoint.read(folder)
        if sealed and role not in POLICIES:
            return checkpoint.wrong_with(folder) if folder == part else ""
        if sealed and folder / sealed.model == part:
            return next(_changed(folder, sealed), "")
    return ""


def _missing(part: Path) -> list[str]:
    return [name for name in FILES if not (part / name).is_file()]


def _policies_below(folder: Path) -> Iterator[Path]:
    """Checkpoints with a policy, the newest first, where a training leaves them below its own folder."""
    for parent in (folder, folder / "checkpoints", folder / "outputs" / "checkpoints"):
        yield from (path for _, path in checkpoint.steps(parent) if used(path, "policy"))


def _changed(folder: Path, sealed: checkpoint.Manifest) -> Iterator[str]:
    """Which files of the model are not what was saved."""
    for path, digest in sealed.files.items():
        if not sealed.model or path.startswith(f"{sealed.model}/"):
            try:
                if _digest(folder / path) != digest:
                    yield f"{folder / path} is not what was saved"
            except OSError as error:
                yield f"{folder / path} cannot be read: {error.strerror}"


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
