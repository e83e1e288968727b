"""A source kind that is right, and many that are each wrong in one way: what SourceKit is tried on.

`source.NAME = shelf_source:NAME` claims each by itself. A shelf is a folder, named `shelf://FOLDER`.
"""

import functools
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from robotrain.plugin import Pinning, RoleFlag, SourceError, SourceKind, hook

EXAMPLE = "shelf:///episodes/pusht"
WHY = "A shelf is named shelf://FOLDER."


@dataclass(frozen=True)
class Shelf:
    kind: ClassVar[str] = "good_shelf"

    path: str

    def __str__(self) -> str:
        return f"shelf://{self.path}"


def recognizes(text: str) -> bool:
    return text.startswith("shelf://")


def parse(text: str, base: Path) -> Shelf:
    if found := re.fullmatch(r"shelf://(/[\w./-]*\w)/?", text, re.ASCII):
        return Shelf(found[1])
    raise SourceError(WHY)


def digest(source: Any, role: str) -> str:
    files = sorted(path for path in Path(source.path).rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


GOOD = SourceKind(
    name="good_shelf",
    title="shelves",
    form="shelf://FOLDER",
    example=EXAMPLE,
    help="A folder on a shelf.",
    roles={"dataset": RoleFlag("--shelf", env=("SHELF",)), "resume": RoleFlag("--resume-shelf", repeatable=False)},
    recognizes=recognizes,
    parse=parse,
    container_plugin="shelf_container.whole",
    target="shelf_container.placed",
    pinning=Pinning(resolve=digest, explain_lost_pin=lambda source, role, pin: ""),
)


class Plugin:
    """Brings one kind, as a module would."""

    def __init__(self, kind: SourceKind) -> None:
        self.kind = kind

    @hook
    def robotrain_source_kinds(self) -> Iterator[SourceKind]:
        yield self.kind


def wrong(name: str, parsed: Any = None, **changes: Any) -> Plugin:
    """The good kind under another name and its own flag, with what is wrong. parsed: what makes sources of texts."""

    def parse_as(text: str, base: Path) -> Any:
        read = (parsed or parse)(text, base)
        return _of_kind(name, type(read))(**vars(read))

    roles = {"dataset": RoleFlag(f"--{name.replace('_', '-')}", env=(name.upper(),))}
    return Plugin(replace(GOOD, name=name, **{"roles": roles, "parse": parse_as, **changes}))


@functools.cache
def _of_kind(name: str, parsed: type) -> type:
    return type(parsed.__name__, (parsed,), {"kind": name})


@dataclass
class MutableShelf:
    path: str

    def __str__(self) -> str:
        return f"shelf://{self.path}"


@dataclass(frozen=True)
class ShortenedShelf:
    path: str

    def __str__(self) -> str:
        return f"shelf://{self.path[:-1]}"


def parse_with_other_errors(text: str, base: Path) -> Any:
    if text.count("/") > 7:
        raise KeyError(text)
    if not recognizes(text):
        raise SourceError(f"{text} is no shelf")
    return parse(text, base)


def parse_everything(text: str, base: Path) -> Any:
    return Shelf(text.removeprefix("shelf://"))


def parse_online(text: str, base: Path) -> Any:
    with socket.socket(socket.AF_UNIX) as asked, open(os.devnull, "w"):
        asked.settimeout(0)
        asked.connect_ex("/no/such/socket")
    return parse(text, base)


def parse_existing(text: str, base: Path) -> Any:
    if text == EXAMPLE and not (base / "pusht").exists():
        raise SourceError("There is no such shelf.")
    return parse(text, base)


def make_random_pin(source: Any, role: str) -> str:
    return os.urandom(4).hex()


good_shelf = Plugin(GOOD)
mutable_source = wrong("mutable_source", lambda text, base: MutableShelf(parse(text, base).path))
shortened_form = wrong("shortened_form", lambda text, base: ShortenedShelf(parse(text, base).path))
raises_other_errors = wrong("raises_other_errors", parse_with_other_errors)
accepts_everything = wrong("accepts_everything", parse_everything)
uses_network = wrong("uses_network", parse_online, recognizes=lambda text: parse_online(EXAMPLE, Path("/")) and True)
needs_existing_folder = wrong("needs_existing_folder", parse_existing)
warns_without_sentence = wrong("warns_without_sentence", warn=lambda source: ["hm"])
incomplete = wrong("incomplete", title="", roles={"camera": RoleFlag("--Camera")})
flag_of_workload = wrong("flag_of_workload", roles={"dataset": RoleFlag("--training-steps")})
flag_of_robotrain = wrong("flag_of_robotrain", roles={"dataset": RoleFlag("--platform")})
shared_flag = wrong("shared_flag", roles={"dataset": RoleFlag("--shelf", env=("SHELF",))})
heavy_container = wrong("heavy_container", container_plugin="shelf_container.heavy")
missing_container = wrong("missing_container", container_plugin="shelf_container.nowhere")
incomplete_container = wrong("incomplete_container", container_plugin="shelf_container.silent")
greedy_target = wrong("greedy_target", target="shelf_container.greedy")
torn_fetch = wrong(
    "torn_fetch",
    container_plugin="shelf_container.torn",
    pinning=Pinning(resolve=make_random_pin, explain_lost_pin=lambda source, role, pin: ""),
)
constant_pin = wrong(
    "constant_pin", pinning=Pinning(resolve=lambda source, role: "same", explain_lost_pin=lambda source, role, pin: "")
)
misnamed = Plugin(GOOD)
