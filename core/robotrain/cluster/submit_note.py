"""Notes of submits on disk, to find what an interrupted submit left in the engine. A note is valid for one plan."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.store import files, records

make_problem = Messages(__file__)


@dataclass(frozen=True)
class SubmitNote:
    """The note of a platform, in the folder of each run's record."""

    file: str
    keys: tuple[str, ...]
    """What a note has beside the digest of its plan."""
    engine: str
    noun: str
    """What the engine has of a run, such as `workflow`."""

    def write(self, plan: Plan, values: Mapping[str, Any]) -> None:
        """Write the note of a plan, replacing an earlier one. Raise Rejected."""
        path = self.get_path(plan)
        with records.report_write_errors():
            files.make_private_folder(path.parent)
            files.write_private_file(path, (json.dumps({"plan": plan.digest, **values}, indent=1) + "\n").encode())
            files.sync_folder(path.parent.parent)

    def read(self, plan: Plan) -> Mapping[str, Any] | None:
        """Return the note of a plan; None if there is none, or one of another plan. Raise Rejected if it is damaged."""
        try:
            note: dict[str, Any] = files.read_json(self.get_path(plan))
            note = {key: note[key] for key in ("plan", *self.keys)}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):  # a JSON or UTF-8 error is a ValueError
            path, engine, noun = str(self.get_path(plan)), self.engine, self.noun
            problem = make_problem("submit-note-damaged", given=path, engine=engine, noun=noun, run=plan.run)
            raise Rejected([problem]) from None
        return note if note["plan"] == plan.digest else None

    def delete(self, plan: Plan) -> None:
        """Delete the note, if that is possible: the engine has nothing of the plan."""
        with contextlib.suppress(OSError):
            self.get_path(plan).unlink(missing_ok=True)

    def get_path(self, plan: Plan) -> Path:
        """Return the path of a plan's note."""
        return records.get_run_folder(plan.run) / self.file
