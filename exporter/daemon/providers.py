"""Providers: shuts down OpenTelemetry's global providers, if something like ``opentelemetry-instrument`` made them.

The SDK would shut them down one after the other when Python exits, and wait half a minute for a collector that does not
answer.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

#: The modules that have a global provider, the function that returns it, and what it exports.
_KNOWN = (
    ("opentelemetry.trace", "get_tracer_provider", "spans"),
    ("opentelemetry.metrics", "get_meter_provider", "metrics"),
    ("opentelemetry._logs", "get_logger_provider", "logs"),
)


def shut_down_providers(timeout: float) -> tuple[str, ...]:
    """Shuts all of them down concurrently, within `timeout` seconds, so that they export their remaining data.

    Returns the kinds of data not exported by then: spans, metrics, logs. Python's exit does not shut them down again.
    """
    threads: dict[str, threading.Thread] = {}
    for name, shut_down in _providers():
        atexit.unregister(shut_down)
        threads[name] = threading.Thread(target=_quietly, args=(shut_down,), daemon=True)
        threads[name].start()
    deadline = time.monotonic() + timeout
    for thread in threads.values():
        thread.join(max(0.0, deadline - time.monotonic()))
    return tuple(name for name, thread in threads.items() if thread.is_alive())


def _providers() -> Iterator[tuple[str, Callable[[], object]]]:
    for module, getter, name in _KNOWN:
        # A module that was not imported has no provider, and the API's no-op providers need no shutdown.
        if module in sys.modules:
            shut_down = getattr(getattr(sys.modules[module], getter)(), "shutdown", None)
            if shut_down is not None:
                yield name, shut_down


def _quietly(shut_down: Callable[[], object]) -> None:
    # The SDK logs its failures.
    with contextlib.suppress(Exception):
        shut_down()
