"""Faults of the command and of its service: which calls fail, and how."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from osmo_stand_in.state import State

Form = Literal[
    "answer", "hang", "slow", "refused", "http", "too_many", "server_error", "html", "lost", "sandbox", "broken"
]
FILE = "faults"


@dataclass(frozen=True)
class Fault:
    """What happens to calls with the words `on`, in this order (empty: to all). times: how often; None for ever.

    after: how many such calls pass unharmed first. code, stdout, stderr: of an `answer`. seconds: of `slow` and `hang`
    (0: until it is killed). status: of `http` and `server_error`; stdout is its body.
    """

    on: str
    form: Form
    times: int | None = 1
    after: int = 0
    seconds: float = 0.0
    code: int = 0
    stdout: str = ""
    stderr: str = ""
    status: int = 500

    def means(self, argv: Sequence[str]) -> bool:
        """Whether a call is one of these."""
        result = iter(argv)
        return all(word in result for word in self.on.split())


def add(state: State, fault: Fault) -> None:
    """From now on, after those that were added before."""
    state.change(FILE, lambda there: [*there, asdict(fault)], [])


def take(state: State, argv: Sequence[str]) -> Fault | None:
    """What a call meets, if anything: the first that means it; it is used up by that."""
    if not (state.folder / f"{FILE}.json").exists():
        return None
    with state.alone():
        faults = [Fault(**there) for there in state.read(FILE, [])]
        for index, fault in enumerate(faults):
            if not fault.means(argv) or fault.times == 0:
                continue
            left = asdict(fault)
            if fault.after:
                faults[index] = Fault(**{**left, "after": fault.after - 1})
                state.write(FILE, [asdict(one) for one in faults])
                continue
            faults[index] = Fault(**{**left, "times": fault.times and fault.times - 1})
            state.write(FILE, [asdict(one) for one in faults])
            return fault
    return None
