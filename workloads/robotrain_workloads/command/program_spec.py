"""What the supervisor needs to know of a program, in a file: a variable of an environment holds 128 KiB at most."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robotrain_runtime.contract.files import write_atomically

SPEC_VARIABLE = "ROBOTRAIN_PROGRAM"
"""The environment variable of the supervisor with the file."""
SPEC_FILE = "program.json"
"""The file, below the run's folder."""
OUTPUTS_FOLDER = "files"
"""What `{outputs}` stands for, below the run's outputs."""
PROGRAM_FOLDER = "program"
"""Where a program starts, below the run's folder."""
REPORT_FILE = "program-report.jsonl"
"""What the program reports by `robotrain_runtime.report`, below the run's folder."""


@dataclass(frozen=True, kw_only=True)
class ProgramSpec:
    """A program, where it runs, and what is read of it."""

    arguments: tuple[str, ...]
    """The command, without placeholders; of several nodes as its user wrote it, filled on each."""
    folder: str
    """Where it starts: a copy of its code."""
    code: str = ""
    """The folder of its code; empty for none."""
    work: str
    """The run's folder."""
    outputs: str
    """The folder that it writes to."""
    checkpoints: str
    """The folder of the run's own checkpoints."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables beside those of the supervisor."""
    values: Mapping[str, object] = field(default_factory=dict)
    """The job's parameters."""
    resume: str = ""
    """The folder of the checkpoint that it could continue from; empty for none."""
    nodes: int = 1
    """How many nodes it runs on together."""
    node_launcher: tuple[str, ...] = ()
    """The command that starts a program on each of them; empty if the platform started the job on each, or for one."""
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Of several nodes: the values of the placeholders that are the same on each."""

    def save(self) -> Path:
        """Write it to the run's folder, and return the file. Raise OSError."""
        file = Path(self.work, SPEC_FILE)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(dataclasses.asdict(self)).encode(), mode=0o600)
        return file


def read_spec(file: str | Path) -> ProgramSpec:
    """Return what `ProgramSpec.save` wrote. Raise OSError."""
    spec_fields = json.loads(Path(file).read_bytes())
    return ProgramSpec(**{**spec_fields, **{name: tuple(spec_fields[name]) for name in ("arguments", "node_launcher")}})
