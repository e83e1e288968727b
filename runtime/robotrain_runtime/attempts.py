"""What earlier attempts at the same run told: a platform starts a run that was cut short once more, in its folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from robotrain_runtime import event
from robotrain_runtime.event import Checkpoint, Delivered, Evaluated, Published, Tracking

FILE = "events.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """tracking: the last tracking run. checkpoints: by their path. published: where each went, by its step. evaluated:
    the last evaluation. delivered: where its results went.
    """

    tracking: Tracking | None = None
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    published: Mapping[int, frozenset[str]] = field(default_factory=dict)
    evaluated: Evaluated | None = None
    delivered: frozenset[str] = frozenset()

    def run_id(self, uri: str) -> str:
        """The tracking run at `uri`; empty when there is none."""
        return self.tracking.run_id if self.tracking and self.tracking.uri == uri else ""


def read(work: Path) -> Earlier:
    """What is in the work folder; nothing for a first attempt."""
    tracking: Tracking | None = None
    checkpoints: dict[str, Checkpoint] = {}
    published: dict[int, frozenset[str]] = {}
    evaluated: Evaluated | None = None
    delivered: frozenset[str] = frozenset()
    for line in _lines(work / FILE):
        match record.event if (record := event.read(line)) else None:
            case Tracking() as found:
                tracking = found
            case Checkpoint(step=step, path=path) as found:
                checkpoints[path] = found
                published.pop(step, None)  # it was made anew
            case Published(step=step, to=to):
                published[step] = published.get(step, frozenset()) | {to}
            case Evaluated() as found:
                evaluated = found
            case Delivered(to=to):
                delivered |= {to}
    return Earlier(
        tracking=tracking, checkpoints=checkpoints, published=published, evaluated=evaluated, delivered=delivered
    )


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if '"event": "metrics"' not in line]
