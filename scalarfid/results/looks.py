"""How the arms of a group are drawn: one colour, marker and line each, the same in every figure and table.

Colours after Okabe and Ito, which colour-blind readers tell apart; a control has the hue of its probe in a lighter
tone, open markers and a broken line, in every figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalarfid.results.groups import Group


@dataclass(frozen=True)
class Style:
    """How an arm is drawn."""

    color: str
    marker: str
    line: str = "-"
    filled: bool = True

    @property
    def point(self) -> dict[str, Any]:
        """Arguments of a marker."""
        return {"marker": self.marker, "markerfacecolor": self.color if self.filled else "white"}


STYLES = {
    "none": Style("#333333", "o"),
    "pan": Style("#0072B2", "^"),
    "mlp_pan": Style("#56B4E9", "^", "--", filled=False),
    "pgs": Style("#00705A", "s"),
    "mlp_pgs": Style("#5DBFA0", "s", "--", filled=False),
    "pan+pgs": Style("#C44E00", "D"),
    "mlp": Style("#E69F00", "D", "--", filled=False),
    "pgs_edge": Style("#CC79A7", "v"),
    "mlp_edge": Style("#E3B5CF", "v", "--", filled=False),
    "pgs_readout": Style("#882255", "P"),
    "mlp_readout": Style("#BF7F9C", "P", "--", filled=False),
}
OTHERS = tuple(
    Style(color, marker, ":")
    for marker in ("X", "*", "h")
    for color in ("#332288", "#AA4499", "#999933", "#117733", "#661100")
)


def styles(group: Group) -> dict[str, Style]:
    """Style of every arm by label; variants take further colours in their order."""
    others = iter(OTHERS * (1 + len(group.arms) // len(OTHERS)))
    return {arm.label: STYLES.get(arm.label) or next(others) for arm in group.arms}
