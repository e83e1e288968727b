"""Files that look like secrets, before a folder leaves this machine: by their names, and by what they hold."""

import functools
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import PurePath

from robotrain_runtime.contract.secret_rules import file_holds_secret

_SERVICE = (
    r"(?:access|api|auth|aws|azure|bot|ci|client|deploy|gh|git(?:hub|lab)?|hf|hub|huggingface|mlflow|ngc|npm|nvapi"
    r"|pypi|slack|ssh|wandb)"
)
_FORMAT = r"\.(?:json|ya?ml|toml|ini|cfg|txt|csv)"
_SECRET_NAME = re.compile(
    r"id_(?:rsa|dsa|ecdsa|ed25519)(?!.*\.pub$).*"
    r"|.*\.(?:pem|key|p12|pfx|kdbx?|jks|keystore|env|ppk|ovpn|tfstate(?:\.backup)?|tfvars)"
    r"|kubeconfig|htpasswd|netrc|npmrc|pypirc|pgpass|token|passwords?|secrets?|(?:.*[-_])?credentials"
    rf"|(?:.*[-_])?(?:credentials?|secrets?|passwords?|passwd){_FORMAT}"
    rf"|(?:client[-_]secret.*|service[-_]account.*|(?!(?:.*[-_])?added_tokens).*tokens?){_FORMAT}"
    rf"|{_SERVICE}[-_]?(?:token|key|secret|password)s?(?:{_FORMAT})?",
    re.IGNORECASE,
)
"""Also without the dot that such a file has in a home folder: what begins with a dot is never sent."""
TEXT_SUFFIXES = frozenset(
    [
        "",
        ".bash",
        ".cfg",
        ".conf",
        ".csv",
        ".env",
        ".ini",
        ".ipynb",
        ".json",
        ".jsonl",
        ".launch",
        ".md",
        ".properties",
        ".ps1",
        ".py",
        ".rst",
        ".sh",
        ".tf",
        ".toml",
        ".txt",
        ".xml",
        ".yaml",
        ".yml",
        ".zsh",
    ]
)
MAX_TEXT_BYTES = 256 << 10
"""Larger files are not searched."""


def has_secret_name(name: str) -> bool:
    """Return whether the name of a file says that it holds a secret."""
    return _SECRET_NAME.fullmatch(name) is not None


def holds_secret(path: str, size: int) -> bool:
    """Return whether a small text file has a secret as a literal; of one that cannot be read, no."""
    if size <= MAX_TEXT_BYTES and PurePath(path).suffix.lower() in TEXT_SUFFIXES:
        with suppress(OSError):
            status = os.stat(path)
            return _search_file(path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return False


@functools.lru_cache(maxsize=1 << 15)
def _search_file(path: str, state: tuple[int, ...]) -> bool:
    """Return whether a file has a secret; kept, as a command checks its job for each suggestion. Raise OSError."""
    with open(path, "rb") as file:
        file_bytes = file.read(MAX_TEXT_BYTES)
    suffix = PurePath(path).suffix.lower()
    return b"\0" not in file_bytes and file_holds_secret(file_bytes.decode(errors="replace"), suffix)


def find_files_with_secrets(
    paths: Mapping[str, str], sizes: Mapping[str, int], watch: Callable[[int], object] = lambda count: None
) -> list[str]:
    """Return the names of those files that have a secret.

    :param paths: where each is.
    :param watch: is called before each file, with how many were searched.
    """
    names = list[str]()
    for count, (name, path) in enumerate(paths.items()):
        watch(count)
        if holds_secret(path, sizes[name]):
            names.append(name)
    return names
