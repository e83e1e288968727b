"""What a batch script does before the job starts: environment modules, and the lines of the user's own file.

Both come from flags, the environment or the user's own configuration, never from a project's files.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from robotrain_runtime.contract.files import read_limited_file

from robotrain_slurm.settings import SlurmSettings

MODULE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.+/@=-]*"
MAX_BYTES = 1 << 16
_LOAD = """\
. /etc/profile >/dev/null 2>&1
module load {} || exit 1"""
"""On most clusters /etc/profile sets up `module`."""
_DIRECTIVE = r"#(?:SBATCH|SLURM|PBS|BSUB)"


class PrologueError(ValueError):
    """A prologue that a batch script cannot begin with; the message is a sentence."""


def list_modules(settings: SlurmSettings) -> list[str]:
    """Return the names of the modules to load."""
    return [name.strip() for name in settings.modules.split(",")] if settings.modules else []


def read_prologue(settings: SlurmSettings) -> Sequence[str]:
    """Return the lines of bash, valid ones only. Raise PrologueError, OSError."""
    script_lines = [_LOAD.format(" ".join(modules))] if (modules := list_modules(settings)) else []
    if settings.prologue:
        script_lines += _read_file(Path(settings.prologue))
    return script_lines


def _read_file(path: Path) -> list[str]:
    try:
        script_text = read_limited_file(path, MAX_BYTES).decode()
    except UnicodeDecodeError:
        raise PrologueError("It is not text in UTF-8.") from None
    except ValueError:
        raise PrologueError(f"It is larger than {MAX_BYTES >> 10} KiB, or no file.") from None
    if re.search(r"[\0\r]", script_text):
        raise PrologueError("It has line ends of Windows, or a zero: sbatch refuses such a script.")
    if re.search(rf"^{_DIRECTIVE}", script_text, re.MULTILINE):
        raise PrologueError("A line is an option of sbatch: --sbatch NAME=VALUE sets one.")
    return script_text.splitlines()
