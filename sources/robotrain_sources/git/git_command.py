"""The `git` command: how it is run, and what its messages mean.

It runs in a folder of its own, with the configuration of the machine and of nothing else, never asks for a password,
and gets a token through a variable of its environment. Standard library only.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

Reason = Literal["denied", "missing", "no-commit", "unadvertised", "unknown-host", "network", "other"]
TOKEN_VARIABLE = "ROBOTRAIN_GIT_TOKEN"
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
_ASK_PASS = """#!/bin/sh
case "$1" in
  "Username for '{origin}'"*) echo x-access-token ;;
  "Password for '{login}'"*) printf '%s\\n' "${variable}" ;;
esac
"""
"""Answers what git asks; only for the host that the token is for, wherever a server redirects to."""


class GitFailed(Exception):
    """A git command failed. `reason` is why; the text is the first line of its message, without secrets."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


class GitToken(NamedTuple):
    """A token for one address. Its repr does not show it."""

    url: str
    text: str

    def __repr__(self) -> str:
        return f"GitToken({self.url})"


def find_git() -> str:
    """Return the path of git; empty if it is not installed."""
    return shutil.which("git") or ""


def run_git(
    folder: Path, arguments: Sequence[str], seconds: float, token: GitToken | None = None, home: bool = True
) -> bytes:
    """Run git in `folder`; return its output. Raise GitFailed.

    :param folder: an empty folder or one that robotrain made: its configuration is used.
    :param home: whether the configuration of the user and the machine is used, such as proxies.
    """
    command, environ = make_command(folder, arguments, token, home)
    try:
        result = subprocess.run(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise GitFailed("network", f"no answer within {seconds:g} s") from None
    except OSError as error:
        raise GitFailed("other", f"git cannot be run: {error.strerror}") from None
    if result.returncode:
        raise explain_failure(result.stderr.decode(errors="replace"))
    return result.stdout


def make_command(
    folder: Path, arguments: Sequence[str], token: GitToken | None = None, home: bool = True
) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment of git. Raise OSError."""
    options = {**OPTIONS, **({"credential.helper": ""} if token else {})}  # no helper may store the token
    command = [find_git() or "git", *(word for option in options.items() for word in ("-c", "=".join(option)))]
    inherited_variables = {
        name: variable_value
        for name, variable_value in os.environ.items()
        if not re.fullmatch(_REPOSITORY_VARIABLES, name)
    }
    git_variables: Mapping[str, str] = {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_HTTP_LOW_SPEED_LIMIT": "100",
        "GIT_HTTP_LOW_SPEED_TIME": "30",
        **({} if home else {**NO_CONFIGURATION, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}),
        # named, a repository may belong to another user, as in a cache that a network disk has
        **({"GIT_DIR": str(folder)} if (folder / "HEAD").is_file() else {}),
    }
    return [*command, *arguments], {
        **inherited_variables,
        **git_variables,
        **(_make_token_environ(folder, token) if token else {}),
    }


def _make_token_environ(folder: Path, token: GitToken) -> dict[str, str]:
    scheme = token.url.split("/")[0]
    host = token.url.split("/")[2]
    script_text = _ASK_PASS.format(
        origin=f"{scheme}//{host}", login=f"{scheme}//x-access-token@{host}", variable=TOKEN_VARIABLE
    )
    program = folder / "robotrain-askpass"
    program.write_text(script_text)
    program.chmod(0o700)
    return {"GIT_ASKPASS": str(program), TOKEN_VARIABLE: token.text}


_REASONS: tuple[tuple[Reason, str], ...] = (
    ("denied", r"could not read (?:Username|Password)|Authentication failed|terminal prompts disabled"),
    ("denied", r"returned error: 40[13]"),
    ("missing", r"repository '[^']*' not found|returned error: 404|not valid: is this a git repository"),
    ("no-commit", r"not our ref|couldn't find remote ref"),
    ("unadvertised", r"unadvertised object|dumb http transport does not support"),
    ("unknown-host", r"Could not resolve host"),
    ("network", r"unable to access|timed out|early EOF|RPC failed|hung up|Connection (?:refused|reset)|HTTP 5\d\d"),
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
