"""A figure with its ceiling, or its floor."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured. most: what it must not be above; least: not below; neither for one that only stands beside."""

    name: str
    value: float
    unit: str = "×"
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it is where it should be."""
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    def __str__(self) -> str:
        limit = f"ceiling {self.most:g}" if self.most is not None else ""
        limit = f"floor {self.least:g}" if self.least is not None else limit
        return f"{self.name:<72} {self.value:9.2f} {self.unit:<4} {limit:<14}{'' if self.holds else ' DOES NOT HOLD'}"
