"""On-call tests at real windows: `python -m tests.oncall [CAUSE...] [--hour=SECONDS] [--within=MINUTES] [--write]`.

The causes run in parallel: most take about half an hour, the ordinary hour an hour, and those that need an hour of
history half an hour more. The exit status is 1 if a budget is exceeded. With `--write`, the notifications become the
table in docs/alerting.md.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from dataclasses import replace

from tests.oncall import timeline
from tests.oncall.causes import CAUSES
from tests.oncall.run import own_folder, run
from tests.oncall.stage import REAL, SHORT


def main() -> int:
    """Runs the causes and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.oncall", description=__doc__)
    parser.add_argument("causes", metavar="CAUSE", nargs="*", choices=[[], *CAUSES], help="of " + ", ".join(CAUSES))
    parser.add_argument("--hour", type=float, default=REAL.hour, metavar="SECONDS", help="how long the ordinary one is")
    parser.add_argument("--within", type=float, default=120, metavar="MINUTES", help="when to end in any case")
    parser.add_argument("--short", action="store_true", help="at the windows of make test")
    parser.add_argument("--write", action="store_true", help="write docs/alerting.md")
    given = parser.parse_args()
    # The clients' messages about the failed servers are of no interest.
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    causes = [CAUSES[name] for name in given.causes or CAUSES]
    form = replace(REAL, hour=given.hour)
    if given.short:
        form, causes = SHORT, [cause for cause in causes if cause.short is not None]
    begun = time.monotonic()
    lock = threading.Lock()

    def say(line: str) -> None:
        with lock:
            print(f"{time.monotonic() - begun:6.0f} {line}", flush=True)

    with own_folder() as folder:
        stories = run(folder, form, causes, say=say, until=begun + 60 * given.within)
    print(timeline.table(stories))
    complaints = [complaint for story in stories for complaint in story.complaints(form, slack=30 * given.short)]
    complaints += [
        f"{story.cause.name}: not resolved" for story in stories if story.cause.resolves and not story.is_over
    ]
    print("\n".join(complaints) or "every budget is kept")
    if given.write:
        timeline.write(stories)
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
