"""What a repository of the Hub holds, and how the Hub tells it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LARGE = 1000
"""Bytes; a file with more lies on another host."""


@dataclass
class Repository:
    """commits: files by commit. branches: the commit that each means. shut: empty, `private` or `gated`."""

    commits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    shut: str = ""

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """A new commit on a branch, and its name."""
        content = repr((len(self.commits), sorted(files))).encode()
        name = hashlib.sha1(content).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        return name


def large(content: bytes, digest: str) -> dict[str, Any]:
    """What is told of a file that lies elsewhere, its SHA-256 under the given name; nothing of a small one."""
    if len(content) <= LARGE:
        return {}
    return {"lfs": {digest: hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}}


def described(content: bytes) -> dict[str, Any]:
    """What a tree tells of a file beside its path."""
    return {"size": len(content), "oid": git_digest(content), **large(content, "oid")}


def git_digest(content: bytes) -> str:
    """What git calls a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
