"""Recorded answers of real servers: of an ensemble of two with a quota on /services, and of a standalone server."""

from __future__ import annotations

from pathlib import Path

ANSWERS = Path(__file__).parent / "answers"
#: The releases that the answers are from.
RELEASES = ("3.4.14", "3.6.3", "3.9.5")


def text(release: str, name: str) -> str:
    """One answer to a four-letter word, for example `mntr.leader`."""
    return (ANSWERS / release / f"{name}.txt").read_text("utf-8")


def json(release: str, name: str) -> bytes:
    """One answer of AdminServer, for example `admin.monitor`."""
    return (ANSWERS / release / f"{name}.json").read_bytes()
