"""A fixture for tests that configure logging, which belongs to the whole process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def untouched_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts logging back as it was; in between, the root logger has no handlers but those that the test adds."""
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    levels = root.level, uvicorn.level
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    yield
    root.setLevel(levels[0])
    uvicorn.setLevel(levels[1])
    logging.captureWarnings(False)
    structlog.reset_defaults()
