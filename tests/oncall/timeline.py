"""Timeline: the notifications of a run with the windows as shipped, as a table in docs/alerting.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.oncall.causes import CAUSES
from tests.oncall.verdict import Story, row_of_budget

PATH = Path(__file__).parents[2] / "docs" / "alerting.md"
BEGIN, END = "<!-- oncall -->", "<!-- end of oncall -->"


def table(stories: Sequence[Story]) -> str:
    """A row for each firing notification, and one for each cause without any."""
    lines = [
        "| cause | budget: critical / in all | after | | alert | says |",
        "|---|---|---|---|---|---|",
    ]
    for story in stories:
        first = f"{story.cause.says} | {row_of_budget(story.cause)}"
        for row in _rows(story):
            lines.append(f"| {first} | {row} |")
            first = " | "
    return "\n".join(lines)


def _rows(story: Story) -> Iterator[str]:
    for sent in story.fired:
        after = f"{sent.at - story.harmed_at:.0f} s"
        yield f"{after} | {sent.severity} | {sent.name.removeprefix('TreeCache')} | {_escaped(sent.summary)}"
    if not story.fired:
        yield "| | | nothing was sent"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("127.0.0.1:", "HOST:")


def write(stories: Sequence[Story], path: Path = PATH) -> None:
    """Writes the table between its markers; rows of causes that did not run stay, rows of unknown causes go."""
    text = path.read_text("utf-8")
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    rows = {**_by_cause(old), **_by_cause(table(stories))}
    lines = [line for cause in CAUSES.values() for line in rows.get(cause.says, ())]
    path.write_text("\n".join([f"{before}{BEGIN}", *table(()).splitlines(), *lines, f"{END}{after}"]), "utf-8")


def _by_cause(table: str) -> dict[str, list[str]]:
    """The rows of a table by cause, whose description is in the first row of each."""
    rows: dict[str, list[str]] = {}
    says = ""
    for line in table.split("|---|---|---|---|---|---|\n")[-1].strip().splitlines():
        says = line.split("|")[1].strip() or says
        rows.setdefault(says, []).append(line)
    return rows
