"""What was learned from decisions, as the command line shows it."""

from __future__ import annotations

from rich.table import Table

from app.learning import Lesson


def lesson_table(lesson: Lesson) -> Table:
    """Present and learned fusion side by side, with what taught it."""
    tried = lesson.fusion.trained_on["tried_on"]
    table = Table(f"on {tried} pairs held back", *lesson.scores, caption=_counted(lesson), caption_justify="left")
    for name in ("log_loss", "brier", "ece", "ndcg_at_10"):
        table.add_row(name.replace("_", " "), *(f"{getattr(one, name):.4f}" for one in lesson.scores.values()))
    return table


def _counted(lesson: Lesson) -> str:
    told = ", ".join(f"{count} {name}" for name, count in sorted(lesson.counts.items()))
    left = ", ".join(f"{count} {name}" for name, count in sorted(lesson.left_out.items()))
    return f"decisions: {told}" + (f"; left out: {left}" if left else "")
