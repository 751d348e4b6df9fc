"""`python -m tests.web.serve [WEB_CONFIG]`: the app about known ensembles in a process of its own, until SIGTERM.

Its patience with clients is shorter than the exporter's, so that tests see the end of it.
"""

from __future__ import annotations

import signal
import sys

from exporter import logs
from exporter.web import connections
from exporter.web.config import load
from tests.web.running import running

HANDSHAKE_TIMEOUT = 1.0
REQUEST_TIMEOUT = 2.0

if __name__ == "__main__":
    logs.configure()
    connections.HANDSHAKE_TIMEOUT, connections.REQUEST_TIMEOUT = HANDSHAKE_TIMEOUT, REQUEST_TIMEOUT
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with running(config=load(sys.argv[1]) if len(sys.argv) > 1 else None) as server:
        print(server.url, flush=True)
        signal.sigwait({signal.SIGTERM})
