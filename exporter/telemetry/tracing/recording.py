"""Recording: whether any provider makes spans. While none does, nothing is computed for them."""

from __future__ import annotations

from opentelemetry.trace import Span

#: Seconds until a provider is looked for again after none was found: looking takes longer than all else.
_IDLE = 0.1


class Recording:
    """Notices that no provider makes spans, and within `_IDLE` seconds that one does.

    Callers pass monotonic seconds.
    """

    def __init__(self) -> None:
        #: Until when to begin no span, by the monotonic clock.
        self.idle_until = 0.0

    def takes(self, span: Span, now: float) -> bool:
        """Whether a span that has just begun is recorded; if no provider made it, none begins for a while."""
        if not span.get_span_context().is_valid:
            self.idle_until = now + _IDLE
        return span.is_recording()
