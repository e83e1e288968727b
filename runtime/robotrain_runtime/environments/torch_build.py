"""Another build of PyTorch than the locked one, at the locked version: what stays of a lock, what uv is asked for."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FAMILY = ("torch", "torchvision", "torchaudio")
BOUND = r"nvidia-|cuda-|triton|pytorch-triton"
"""How the packages begin that carry what a build runs on; each build of torch asks for its own."""
DRIVER = Path("/sys/module/nvidia/version")


@dataclass(frozen=True, slots=True)
class Pin:
    """A package of a lock. text: its lines, with the hashes. needs: what needs it, as the lock's comments say."""

    name: str
    requirement: str
    text: str
    needs: frozenset[str]

    @property
    def version(self) -> str:
        """As the lock has it, with the label of a build where there is one."""
        found = re.search(r"==\s*([^\s;]+)", self.requirement)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Split:
    """A lock, split. kept: the lock without the build. versions: those of what is kept. asked: the build's, by name;
    locked: the same with the labels that the lock has. cuda: whether the locked build brings CUDA.
    """

    kept: str
    versions: str
    asked: tuple[str, ...]
    locked: tuple[str, ...]
    cuda: bool


def split(lock: str) -> Split | None:
    """`lock` without torch and what only its locked build needs; None when there is no torch in it."""
    pins = list(_pins(lock))
    family = [pin for pin in pins if pin.name in FAMILY]
    if not family:
        return None
    gone = _gone(pins, {pin.name for pin in family})
    kept = [pin for pin in pins if pin.name not in gone]
    return Split(
        kept="".join(pin.text for pin in kept),
        versions="".join(f"{pin.requirement}\n" for pin in kept),
        asked=tuple(f"{pin.name}=={pin.version.partition('+')[0]}" for pin in family),
        locked=tuple(f"{pin.name}=={pin.version}" for pin in family),
        cuda=any(name.startswith("nvidia-") for name in gone),
    )


def key(backend: str) -> str:
    """What tells the environments of two builds apart. `auto` goes by the machine's driver, so that is part of it."""
    try:
        return f"auto {DRIVER.read_text().strip()}" if backend == "auto" else backend
    except OSError:
        return backend


def remark(asked: Sequence[str], unpinned: Sequence[str], backend: str) -> str:
    """What a person should know of an environment in which not everything is pinned by hash."""
    named = [_words(pin) for pin in unpinned if pin.partition("==")[0] in FAMILY] or [_words(pin) for pin in asked]
    others = len(unpinned) - len(named)
    more = f" (and {others} packages that come with it)" if others > 0 else ""
    index = "the index that suits this machine" if backend == "auto" else f"the {backend} index"
    return f"{' and '.join(named)} from {index}{more}: not pinned by hash"


def _gone(pins: Sequence[Pin], family: set[str]) -> set[str]:
    """The family, and whatever of a build's packages is there for it alone."""
    gone = set(family)
    while new := {pin.name for pin in pins if pin.name not in gone and re.match(BOUND, pin.name) and _only(pin, gone)}:
        gone |= new
    return gone


def _only(pin: Pin, gone: set[str]) -> bool:
    if not pin.needs:  # a lock without such comments: the build's own packages carry its name
        return bool(re.search(r"-cu\d+$|triton", pin.name))
    return pin.needs <= gone


def _pins(lock: str) -> Iterator[Pin]:
    for entry in re.findall(r"^[A-Za-z0-9][^\n]*\n(?:[ \t][^\n]*\n)*", lock + "\n", re.MULTILINE):
        lines = [re.sub(r"\s*(--hash=\S+)?\s*\\?$", "", line).strip() for line in entry.splitlines()]
        said = [re.sub(r"^#\s*(via\b)?", "", line).strip() for line in lines if line.startswith("#")]
        name = re.match(r"[A-Za-z0-9._-]+", entry)
        assert name is not None
        yield Pin(name[0].lower().replace("_", "-"), lines[0], entry, frozenset(filter(None, said)))


def _words(pin: str) -> str:
    name, _, version = pin.partition("==")
    return f"{name} {version}"
