"""FFmpeg for torchcodec, which LeRobot decodes videos with: the libraries that PyAV brings.

torchcodec brings none, and asks the loader of the system for names such as `libavutil.so.59`. Those in PyAV's wheel
have a hash in their names. So an empty library with each name that is asked for, which needs the one of PyAV, is loaded
first: the loader takes it, and finds the functions in the other one. Unlike a search path in a variable, it works in a
process that runs already, and programs that it starts do not see it.
"""

import ctypes
import functools
import importlib
import re
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

TORCHCODEC = "torchcodec"
LIBRARY = re.compile(r"(lib(?:av|sw|post)[a-z]+)-\w+(\.so\.\d+)(?:\.\d+)*")
"""A library of FFmpeg in PyAV's wheel: its name, a hash, and its version."""
LOAD, DYNAMIC, STACK = 1, 2, 0x6474E551
"""Kinds of segments of a library."""
READ_AND_WRITE, PAGE = 6, 4096
NEEDED, HASHES, STRINGS, SYMBOLS, STRINGS_SIZE, SYMBOL_SIZE, NAME, END = 1, 4, 5, 6, 10, 11, 14, 0
"""Entries of its dynamic section."""
HEADER_BYTES, SEGMENT_BYTES, ENTRY_BYTES, SYMBOL_BYTES = 64, 56, 16, 24


@functools.cache
def load_ffmpeg() -> None:
    """Have torchcodec find the FFmpeg of PyAV, if PyAV brings one; else it asks the system, as it does by itself."""
    if TORCHCODEC in sys.modules or not sys.platform.startswith("linux"):
        return
    with suppress(ImportError, OSError):  # without it, torchcodec says what it lacks
        import av  # loads the libraries

        libraries = list(_list_libraries(Path(av.__file__).parent.parent / "av.libs"))
        with tempfile.TemporaryDirectory(prefix="robotrain-ffmpeg-") as alias_folder:
            for name, library in libraries:
                alias = Path(alias_folder, name)
                alias.write_bytes(make_alias(name, library))
                ctypes.CDLL(str(alias))


def describe_decoder(backend: str) -> str:
    """Return what decodes, with its version and that of FFmpeg. Raise what an import raises.

    :param backend: `torchcodec`; any other is PyAV for LeRobot.
    """
    if backend == TORCHCODEC:
        load_ffmpeg()
        torchcodec: Any = importlib.import_module(TORCHCODEC)
        version = importlib.import_module(f"{TORCHCODEC}._core").get_ffmpeg_library_versions()["ffmpeg_version"]
        return f"{TORCHCODEC} {torchcodec.__version__} with FFmpeg {version}"
    import av

    return f"PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}"


def make_alias(name: str, library: Path) -> bytes:
    """Return an empty library of that name, which needs another one, for the machine of that. Raise OSError."""
    with library.open("rb") as file:
        identity = file.read(20)
    machine = struct.unpack_from("<H", identity, 18)[0]
    strings = b"\0".join([b"", name.encode(), library.name.encode(), b""])
    dynamic_at = HEADER_BYTES + 3 * SEGMENT_BYTES
    hashes_at = dynamic_at + 8 * ENTRY_BYTES
    symbols_at = hashes_at + 16
    strings_at = symbols_at + SYMBOL_BYTES
    size = strings_at + len(strings)
    dynamic_entries = (
        (NAME, 1),
        (NEEDED, 2 + len(name)),
        (HASHES, hashes_at),
        (SYMBOLS, symbols_at),
        (SYMBOL_SIZE, SYMBOL_BYTES),
        (STRINGS, strings_at),
        (STRINGS_SIZE, len(strings)),
        (END, 0),
    )
    shared_library = 3
    header = (shared_library, machine, 1, 0, HEADER_BYTES, 0, 0, HEADER_BYTES, SEGMENT_BYTES, 3, 0, 0, 0)
    library_parts = [
        identity[:16],
        struct.pack("<HHIQQQIHHHHHH", *header),
        _pack_segment(LOAD, 0, size, PAGE),
        _pack_segment(DYNAMIC, dynamic_at, len(dynamic_entries) * ENTRY_BYTES, 8),
        _pack_segment(STACK, 0, 0, 16),  # without it, the loader makes the stack executable
        *(struct.pack("<qQ", *dynamic_entry) for dynamic_entry in dynamic_entries),
        struct.pack("<4I", 1, 1, 0, 0),  # a hash table without names
        bytes(SYMBOL_BYTES),  # the first symbol, which every library has
        strings,
    ]
    return b"".join(library_parts)


def _pack_segment(kind: int, start: int, size: int, alignment: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, READ_AND_WRITE, start, start, start, size, size, alignment)


def _list_libraries(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name that torchcodec asks for, and the library. Raise OSError."""
    for path in sorted(folder.iterdir()):
        if match := LIBRARY.fullmatch(path.name):
            yield match[1] + match[2], path
