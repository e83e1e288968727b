"""The loop of all kills: begin something, kill it at a random moment, repeat it, look at what is there, and count."""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

ROUNDS_FOR_A_KILL = 20
"""How many rounds there may be for each kill: one that ended before its moment is no kill."""


@dataclass
class Findings:
    """What rounds found: how many kills hit, and a sentence for whatever was lost or doubled."""

    kills: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Add those of other rounds."""
        self.kills += other.kills
        self.lost += other.lost
        self.doubled += other.doubled


RunRound = Callable[[int, random.Random, int], Findings]
"""Begin, kill, repeat and look: by the round's number, what draws its moments, and the most kills that it may make."""


def repeat_rounds(name: str, run_round: RunRound, kills: int, seed: int) -> Findings:
    """Run rounds until there were so many kills; tell each finding on stderr."""
    total, moments = Findings(), random.Random(f"{name} {seed}")
    for number in range(ROUNDS_FOR_A_KILL * kills):
        findings = run_round(number, moments, kills - total.kills)
        total.add(findings)
        for finding in (*findings.lost, *findings.doubled):
            print(f"{name}, round {number}: {finding}", file=sys.stderr, flush=True)
        if total.kills >= kills:
            break
    return total
