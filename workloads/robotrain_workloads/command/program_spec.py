"""What the supervisor needs to know of a program, in an environment variable that no other process has."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

SPEC_VARIABLE = "ROBOTRAIN_PROGRAM"
"""The environment variable of the supervisor."""
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
    """The command, without placeholders."""
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

    def to_json(self) -> str:
        """Return it as one text."""
        return json.dumps(dataclasses.asdict(self))


def parse_spec(text: str) -> ProgramSpec:
    """Return what `ProgramSpec.to_json` returned."""
    data = json.loads(text)
    return ProgramSpec(**{**data, "arguments": tuple(data["arguments"])})
