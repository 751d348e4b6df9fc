"""Verdict: compares the notifications about a cause with its budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.integration.alerting import Notification
from tests.oncall.causes import MINUTE, Cause
from tests.oncall.stage import Form


@dataclass(frozen=True)
class Story:
    """A cause, the monotonic times of its begin and end, and the notifications about it since its begin."""

    cause: Cause
    harmed_at: float
    healed_at: float
    sent: Sequence[Notification]

    @property
    def fired(self) -> list[Notification]:
        """The firing notifications."""
        return [sent for sent in self.sent if sent.status == "firing"]

    @property
    def is_over(self) -> bool:
        """Whether every alert that fired has resolved."""
        last: dict[tuple[tuple[str, str], ...], str] = {}
        for sent in self.sent:
            for alert in sent.alerts:
                last[tuple(sorted(alert.labels.items()))] = alert.status
        return "firing" not in last.values()

    def complaints(self, form: Form, slack: float) -> list[str]:
        """The violations of the budget, in words. `slack` is additional time for a busy machine, in seconds."""
        return [f"{self.cause.name}: {complaint}" for complaint in self._complaints(form, slack)]

    def _complaints(self, form: Form, slack: float) -> list[str]:
        cause, found = self.cause, []
        critical = [sent for sent in self.fired if sent.severity == "critical"]
        if len(critical) > cause.critical:
            found.append(f"{len(critical)} critical notifications, at most {cause.critical}")
        if len(self.fired) > cause.in_all:
            found.append(f"{len(self.fired)} notifications in all, at most {cause.in_all}")
        found += [f"{sent.name} is not about it: {sent.summary}" for sent in self.fired if self._is_wrong(sent)]
        found += [
            f"{sent.name} was sent {sent.at - self.healed_at:.0f} s after it was healed: {sent.summary}"
            for sent in self.fired
            if sent.at > self.healed_at + form.seconds("1m") + slack
            and cause.lasts
            and sent.name not in cause.afterwards
        ]
        found += [
            f"a critical notification within {cause.no_page_for:g} min"
            for sent in critical
            if sent.at < self.harmed_at + form.seconds("1m") * cause.no_page_for
        ]
        if cause.within is not None:
            found += self._wrong_first(form, slack)
        return found

    def _is_wrong(self, sent: Notification) -> bool:
        return bool(self.cause.alerts) and sent.name not in self.cause.alerts

    def _wrong_first(self, form: Form, slack: float) -> list[str]:
        cause = self.cause
        names = cause.alerts[:1] if cause.words else cause.alerts
        named = [sent for sent in self.fired if sent.name in names]
        if not named:
            return [f"{' or '.join(names)} was not sent"]
        # If a scrape saw a part of the harm, a second notification says all of it, just as much in time.
        right = next((sent for sent in named if self._says_all(sent)), named[0])
        found = []
        took = right.at - self.harmed_at
        if took > (cause.within or 0) + slack:
            found.append(f"{right.name} came after {took:.0f} s, at most {cause.within:g} s")
        if not self._says_all(right):
            severity = "" if cause.severity is None else f"{cause.severity}, "
            found.append(f"{right.name} does not say {severity}{cause.words!r}: {right.severity}, {right.summary}")
        return found

    def _says_all(self, sent: Notification) -> bool:
        return self.cause.words in sent.summary and self.cause.severity in (None, sent.severity)


def row_of_budget(cause: Cause) -> str:
    """The budget of the cause, in words."""
    soon = "" if cause.within is None else f", within {_in_words(cause.within)}"
    return f"{cause.critical} / {cause.in_all}{soon}"


def _in_words(seconds: float) -> str:
    return f"{seconds / MINUTE:g} min" if seconds > 90 else f"{seconds:g} s"
