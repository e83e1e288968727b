"""What is asked of the machine that submits, in one script: its programs, and the folders and files that jobs need."""

import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from robotrain.run_folder.folder_access import FolderState
from robotrain.run_folder.transport import Transport
from robotrain.store.files import MountPoint, find_mount

SCRIPT = """\
uname -n
echo "$HOME"
for command in {commands}; do command -v "$command" >/dev/null 2>&1 && printf '%s ' "$command"; done
echo
for version in {versions}; do
  for python in "$(command -v "python$version")" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version"*/bin/python \
    "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/uv/python}/cpython-$version".*/bin/python3 \
    "/usr/bin/python$version" "/usr/local/bin/python$version" /opt/python*/bin/"python$version"; do
    [ -x "$python" ] && printf '%s ' "$version" && break
  done
done
echo
for path in {paths}; do
  above=$path has=
  while [ ! -e "$above" ]; do above=${above%/*}; [ -n "$above" ] || above=/; done
  if [ -e "$path" ] || [ -L "$path" ]; then has=e; fi
  [ -d "$above" ] && has=${has}d
  [ -w "$above" ] && [ -x "$above" ] && has=${has}w
  mode=$(stat -L -c '%a' -- "$path" 2>/dev/null) || mode=0
  printf '%s %s %s\\n' "$has:" "$(stat -f -L -c '%a %S' -- "$above")" "$mode"
  stat -L -c '%U' -- "$above"
  printf '%s\\n' "$above"
  realpath -- "$above"
done
cat /proc/self/mounts 2>/dev/null || :
"""


@dataclass(frozen=True, kw_only=True)
class PathState:
    """A path of the machine."""

    exists: bool
    mode: int
    """Of the file or folder itself; 0 if it is not there."""
    folder: FolderState
    mount: MountPoint
    """What it is on, or would be."""


@dataclass(frozen=True, kw_only=True)
class MachineSurvey:
    """What a machine has."""

    host: str
    home: str
    """The user's home folder."""
    commands: Collection[str]
    """Those that it was asked for."""
    pythons: Collection[str]
    """The versions that it was asked for."""
    paths: Mapping[str, PathState]


def take_survey(
    transport: Transport, paths: Iterable[str], commands: Iterable[str] = (), pythons: Iterable[str] = ()
) -> MachineSurvey:
    """Ask a machine for commands, versions of Python and paths."""
    paths = [*dict.fromkeys(paths)]
    script = SCRIPT
    for name, words in (("commands", commands), ("versions", pythons), ("paths", paths)):
        script = script.replace(f"{{{name}}}", shlex.join(words))
    lines = transport.query(script).text.split("\n")
    host, home, command_names, versions, *remaining_lines = lines
    end = 4 * len(paths)
    mounts, states = "\n".join(remaining_lines[end:]), {}
    for index, path in enumerate(paths):
        stat_line, owner, folder_above, real_path = remaining_lines[4 * index : 4 * index + 4]
        flags, blocks, size, mode = stat_line.split(" ")
        states[path] = PathState(
            exists="e" in flags,
            mode=int(mode, 8) & 0o7777,
            folder=FolderState(
                path=path,
                above=folder_above,
                owner=owner,
                is_folder="d" in flags,
                is_writable="w" in flags,
                free_bytes=int(blocks) * int(size),
            ),
            mount=find_mount(real_path, mounts),
        )
    return MachineSurvey(host=host, home=home, commands=command_names.split(), pythons=versions.split(), paths=states)
