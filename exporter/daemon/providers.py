"""Providers: OpenTelemetry's global ones, where something else such as ``opentelemetry-instrument`` has set them up.

The SDK shuts each of them down when Python ends, one after the other, and waits up to half a minute for a collector
that does not answer.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

#: The modules that know of a provider, what gives it there, and what it is of.
_KNOWN = (
    ("opentelemetry.trace", "get_tracer_provider", "spans"),
    ("opentelemetry.metrics", "get_meter_provider", "metrics"),
    ("opentelemetry._logs", "get_logger_provider", "logs"),
)


def shut_down_providers(timeout: float) -> tuple[str, ...]:
    """Has all of them export what they hold, at once, for at most `timeout` seconds.

    Gives what was not exported by then: spans, metrics, logs. None of them is shut down again when Python ends.
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
        # What nobody has imported nobody has set up; and the API's own stand-ins need no end.
        if module in sys.modules:
            shut_down = getattr(getattr(sys.modules[module], getter)(), "shutdown", None)
            if shut_down is not None:
                yield name, shut_down


def _quietly(shut_down: Callable[[], object]) -> None:
    # What the SDK has to say of a failure it logs.
    with contextlib.suppress(Exception):
        shut_down()
