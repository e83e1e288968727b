"""Named bars in a panel."""

from collections.abc import Sequence
from typing import Any

from robotrain_workloads.lerobot_eval.results.drawing import figure

FLAT = 5
"""More names than that are turned, so as not to overlap."""
LONGEST = 14


def draw(panel: Any, names: Sequence[str], values: Sequence[float], title: str) -> None:
    """One a name."""
    panel.set_title(title, fontsize=9)
    panel.bar(range(len(names)), values, color=figure.RECORDED)
    label(panel, names)


def label(panel: Any, names: Sequence[str], first: int = 0) -> None:
    """Names below a panel that has one thing for each; first: where the first one is."""
    shown = figure.few(names)
    texts, turned = [shortened(names[at]) for at in shown], 90 if len(shown) > FLAT else 0
    panel.set_xticks([at + first for at in shown], texts, fontsize=7, rotation=turned)


def spread(figure: Any) -> None:
    """Makes room for turned names below each row of panels."""
    height = figure.get_figheight()
    figure.subplots_adjust(bottom=1.1 / height, hspace=0.65)


def shortened(name: str) -> str:
    """The end of a long name: it is what tells joints apart."""
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
