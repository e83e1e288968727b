"""The `git` command: how it is run, and what its messages mean.

It never asks for a password, and of the configuration of the machine and its user only what finds credentials counts.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Reason = Literal["denied", "missing", "no-commit", "unadvertised", "unknown-host", "other"]
OPTIONS = {
    "core.hooksPath": os.devnull,
    "core.askPass": "",
    "core.fsmonitor": "false",
    "credential.interactive": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.http.allow": "always",  # which the parser of addresses allows for this machine only
}
NO_CONFIGURATION = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
_REPOSITORY_VARIABLES = r"GIT_(?:DIR|WORK_TREE|INDEX_FILE|PREFIX|NAMESPACE|COMMON_DIR|CONFIG(?:_.*)?|TRACE.*|ASKPASS"
_REPOSITORY_VARIABLES += r"|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|SHALLOW_FILE|GRAFT_FILE|TEMPLATE_DIR"
_REPOSITORY_VARIABLES += r"|REPLACE_REF_BASE|EXEC_PATH|EXTERNAL_DIFF|PROXY_COMMAND|SSH.*|ALLOW_PROTOCOL)|SSH_ASKPASS"


class GitFailed(Exception):
    """A git command failed. `reason` is why; the text is the first line of its message, without secrets."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


def find_git() -> str:
    """Return the path of git; empty if it is not installed."""
    return shutil.which("git") or ""


def run_git(folder: Path, arguments: Sequence[str], seconds: float) -> bytes:
    """Run git in `folder`, which is empty or which robotrain made; return its output. Raise GitFailed."""
    variables = {name: text for name, text in os.environ.items() if not re.fullmatch(_REPOSITORY_VARIABLES, name)}
    variables |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_HTTP_LOW_SPEED_LIMIT": "100",
        "GIT_HTTP_LOW_SPEED_TIME": "30",
    }
    try:
        options = [*_list_credential_options(variables), *("=".join(option) for option in OPTIONS.items())]
        result = subprocess.run(
            [find_git(), *(word for option in options for word in ("-c", option)), *arguments],
            cwd=folder,
            env=variables | NO_CONFIGURATION,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise GitFailed("other", f"no answer within {seconds:g} s") from None
    except OSError as error:
        raise GitFailed("other", f"git cannot be run: {error.strerror}") from None
    if result.returncode:
        raise explain_failure(result.stderr.decode(errors="replace"))
    return result.stdout


def _list_credential_options(variables: dict[str, str]) -> list[str]:
    """Return the options of the user's and the machine's configuration that find credentials. Raise OSError."""
    command = [find_git(), "config", "--null", "--get-regexp", r"^credential\."]
    rows = subprocess.run(command, cwd="/", env=variables, capture_output=True, text=True).stdout.split("\0")
    return [row.replace("\n", "=", 1) for row in rows if row]


_REASONS: tuple[tuple[Reason, str], ...] = (
    ("denied", r"could not read (?:Username|Password)|Authentication failed|terminal prompts disabled"),
    ("denied", r"returned error: 40[13]"),
    ("missing", r"repository '[^']*' not found|returned error: 404|not valid: is this a git repository"),
    ("no-commit", r"not our ref|couldn't find remote ref"),
    ("unadvertised", r"unadvertised object|dumb http transport does not support"),
    ("unknown-host", r"Could not resolve host"),
)


def explain_failure(message: str) -> GitFailed:
    """Return the error for the message of a git command."""
    reason: Reason = next((reason for reason, pattern in _REASONS if re.search(pattern, message)), "other")
    message_lines = [message_line.strip() for message_line in message.splitlines() if message_line.strip()]
    message_line = next(
        (candidate for candidate in message_lines if candidate.startswith(("fatal:", "error:", "remote:"))),
        message_lines[-1] if message_lines else "",
    )
    message_line = re.sub(r"//[^/@\s]+@", "//", re.sub(r"^(?:fatal|error|remote): ", "", message_line))
    return GitFailed(reason, message_line[:300] or "git ended without a message")
