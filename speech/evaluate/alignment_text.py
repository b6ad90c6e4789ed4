"""Pure: an alignment that a person can read: what was said, what was heard, and a mark under every difference.

All in characters two columns wide, so that they stand under each other in any terminal:

    说 家里只有十四度
    听 家离只＊十是读
       音　漏　音音
"""

from __future__ import annotations

from collections.abc import Sequence

from speech.evaluate.compare import Kind, Step

GAP = "＊"  # nothing stands there
MARKS = {Kind.RIGHT: "\u3000", Kind.SOUND: "音", Kind.SUBSTITUTED: "错", Kind.DELETED: "漏", Kind.INSERTED: "多"}
LEGEND = "音 another character of the same sound · 错 wrong · 漏 not heard · 多 not said"


def alignment_lines(steps: Sequence[Step], width: int = 30) -> list[str]:
    """Three lines for each `width` characters: said, heard, marks; the marks' line is left out where all is right."""
    lines = []
    for start in range(0, len(steps), width):
        part = steps[start : start + width]
        lines.append("说 " + "".join(step.said or GAP for step in part))
        lines.append("听 " + "".join(step.heard or GAP for step in part))
        if any(step.kind is not Kind.RIGHT for step in part):
            lines.append("   " + "".join(MARKS[step.kind] for step in part).rstrip("\u3000"))
    return lines
