"""`pytest --macos`: commands in this process run as on a Mac: no /proc and no /sys, no calls that only Linux has, no
programs but those that a client starts. The stand-ins, processes of their own, stay on Linux.
"""

import builtins
import ctypes
import functools
import importlib
import io
import os
import platform
import resource
import select
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request  # decides about macOS when it is imported
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import psutil  # decides about it too
import pytest

assert urllib.request
assert psutil

HIDDEN = ("/proc", "/sys")
PATH_CALLS: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("stat", "lstat", "readlink", "access", "listdir", "scandir", "open", "statvfs")),
    *((io, "open"), (builtins, "open")),
)
LINUX_CALLS: tuple[tuple[ModuleType, tuple[str, ...]], ...] = (
    (os, ("sched_getaffinity", "sched_setaffinity", "pidfd_open", "memfd_create", "eventfd", "splice", "O_TMPFILE")),
    (os, ("O_PATH", "copy_file_range", "posix_fadvise", "posix_fallocate", "getxattr", "setxattr", "listxattr")),
    (os, ("fdatasync", "setresuid", "getrandom", "pipe2")),
    (signal, ("sigwaitinfo", "sigtimedwait", "pidfd_send_signal", "SIGRTMIN", "SIGPWR", "SIGSTKFLT")),
    (select, ("epoll",)),
    (resource, ("prlimit",)),
)
LIBRARY_CALLS = ("prctl", "unshare", "setns", "renameat2", "inotify_init", "signalfd", "syscall", "gettid")
CLIENT_COMMANDS = ("git", "osmo", "python", "sh", "ssh", "terraform", "uv", "uvx")
"""What commands of robotrain start on the machine of a user."""


def become_mac(patch: pytest.MonkeyPatch) -> None:
    """Let this process see what it would see on a Mac."""
    importlib.import_module("huggingface_hub.hf_api")  # it decides by the system while it is imported
    patch.setattr(sys, "platform", "darwin")
    patch.setattr(platform, "system", lambda: "Darwin")
    patch.setattr(platform, "mac_ver", lambda: ("26.0", ("", "", ""), "arm64"))
    uname = os.uname()
    patch.setattr(os, "uname", lambda: os.uname_result(("Darwin", uname.nodename, "25.0.0", "Darwin", "arm64")))
    patch.setattr(shutil, "_copyxattr", lambda *args, **options: None)  # the standard library decided for Linux
    patch.setattr(tempfile, "_O_TMPFILE_WORKS", False)
    patch.setattr(selectors, "DefaultSelector", selectors.PollSelector)
    for module, names in LINUX_CALLS:
        for name in names:
            patch.delattr(module, name, raising=False)
    for module, name in PATH_CALLS:
        patch.setattr(module, name, _hide_folders(getattr(module, name)))
    patch.setattr(ctypes, "CDLL", MacLibrary)
    patch.setattr(subprocess.Popen, "__init__", _check_program(subprocess.Popen.__init__))


def _hide_folders(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def hide(path: Any = ".", *args: Any, **options: Any) -> Any:
        if not isinstance(path, int):
            text = os.fsdecode(path)
            is_hidden = any(text == folder or text.startswith(f"{folder}/") for folder in HIDDEN)
            if is_hidden and _is_of_robotrain(sys._getframe(1)):
                if call.__name__ == "access":
                    return False
                raise FileNotFoundError(2, "No such file or directory", text)
        return call(path, *args, **options)

    return hide


class MacLibrary(ctypes.CDLL):
    """A library without the functions of Linux."""

    def __getattr__(self, name: str) -> Any:
        if name in LIBRARY_CALLS:
            raise AttributeError(name)
        return super().__getattr__(name)


def _check_program(start: Callable[..., None]) -> Callable[..., None]:
    def check(process: Any, words: Any, *args: Any, **options: Any) -> None:
        program = Path(os.fsdecode(words if isinstance(words, str | bytes | Path) else words[0])).name
        is_known = program.rstrip("0123456789.") in CLIENT_COMMANDS or not _is_of_robotrain(sys._getframe(1))
        assert is_known, f"a client starts {program}: as on a Mac, with the options that it has there?"
        start(process, words, *args, **options)

    return check


def _is_of_robotrain(frame: FrameType | None) -> bool:
    """Return whether robotrain calls, not a stand-in of the test."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("robotrain"):
            return True
        frame = frame.f_back
    return False
