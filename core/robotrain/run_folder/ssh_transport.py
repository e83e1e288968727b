"""Another machine, which the user's own ssh reaches: with their configuration, keys, agent and shared connections."""

import atexit
import base64
import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence

from robotrain.run_folder.transport import END_SECONDS, Transport

OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "15",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "ClearAllForwardings": "yes",
    "ForwardX11": "no",
    "RemoteCommand": "none",
}
"""Nothing is asked, and a line that is dead is noticed within a minute."""
SHARED_SECONDS = 30
NO_COMMAND_CODE = 97
"""What a script ends with, before it begins, on a machine without the command of its engine."""
RUN = """\
exec /bin/sh -c '{find}eval "$(head -c {size})"'"""
"""One line that sh, csh and fish read alike. What differs comes over standard input, past every shell."""
FIND = """\
has() { command -v {command} >/dev/null 2>&1; }; \
has || { [ -x /bin/bash ] || exit {code}; exec 3<&0; \
exec /bin/bash -l -c "exec <&3 3<&-; command -v {command} >/dev/null 2>&1 || exit {code}; \
eval \\"\\$(head -c {size})\\"" </dev/null; }; """
"""A command that is not on the PATH of what comes by ssh may be on that of a login shell."""

RUN_WORDS = """\
set -- {words}
command -v "$1" >/dev/null 2>&1 || [ ! -x /bin/bash ] || exec /bin/bash -l -c 'exec "$@"' sh "$@"
exec "$@"
"""
"""The same for a command that has the streams of the user."""
QUIET = {"LogLevel": "ERROR"}
"""It does not say that the connection was closed."""


class SshTransport(Transport):
    """A machine that is reached by ssh.

    :param host: as ssh takes it: no option.
    :param engine_command: the command of an engine, which a login shell has if need be.
    """

    def __init__(self, host: str, engine_command: str = "") -> None:
        self.host = host
        find_script = FIND.replace("{command}", engine_command).replace("{code}", str(NO_COMMAND_CODE))
        self._remote = RUN.replace("{find}", find_script if engine_command else "")

    @property
    def command(self) -> tuple[str, ...]:  # type: ignore[override]  # the base class has the same for all
        """The ssh, with the connection that all commands of this process share."""
        shared_options = _share_connection(self.host)
        return ("ssh", "-T", *_format_options(OPTIONS | shared_options), "--", self.host, self._remote)

    def make_terminal_words(self, words: Sequence[str], has_terminal: bool) -> Sequence[str]:
        """Return the ssh that runs words there. The shell of the user reads only letters, digits, `+`, `/` and `=`."""
        script = base64.b64encode(RUN_WORDS.replace("{words}", shlex.join(words)).encode()).decode()
        remote_command = f"exec /bin/sh -c 'eval \"$(echo {script} | base64 -d)\"'"
        options = OPTIONS | QUIET  # on a connection of its own: that of this process ends with it
        return ("ssh", "-t" if has_terminal else "-T", *_format_options(options), "--", self.host, remote_command)


def _format_options(options: Mapping[str, str]) -> list[str]:
    return [f"-o{name}={value}" for name, value in options.items()]


SHORT_PATH = 24
"""Of 104 characters, what is left beside `/robotrain-12345678/`, the 40 of `%C`, and 17 that ssh adds for a while."""
_shared: dict[str, dict[str, str]] = {}
"""The options of the connections that this process shares, by host; none where the user's configuration shares one."""
_sharing = threading.Lock()


def _share_connection(host: str) -> dict[str, str]:
    """Return the options of a connection that later commands use, too."""
    with _sharing:
        if host not in _shared:
            _shared[host] = (
                {}
                if _has_own_sharing(host)
                else {
                    "ControlMaster": "auto",
                    "ControlPath": f"{tempfile.mkdtemp(prefix='robotrain-', dir=_find_short_folder())}/%C",
                    "ControlPersist": str(SHARED_SECONDS),
                }
            )
        return _shared[host]


def _find_short_folder() -> str:
    """Return a folder for temporary files: the path of a socket has 104 characters on a Mac, whose own has 50."""
    folder = tempfile.gettempdir()
    return folder if len(folder) <= SHORT_PATH else "/tmp"


def _has_own_sharing(host: str) -> bool:
    config = _run_quietly(["ssh", "-G", "--", host])
    return "\ncontrolpath " in config.replace("\ncontrolpath none\n", "\n")


def _run_quietly(words: list[str]) -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=END_SECONDS, check=False
        ).stdout
    return ""


@atexit.register
def close_connections() -> None:
    """Close the connections that this process shares."""
    with _sharing:
        while _shared:
            host, options = _shared.popitem()
            if path := options.get("ControlPath"):
                _run_quietly(["ssh", f"-oControlPath={path}", "-O", "exit", "--", host])
                shutil.rmtree(os.path.dirname(path), ignore_errors=True)
