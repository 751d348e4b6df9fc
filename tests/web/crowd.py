"""`python -m tests.web.crowd NUMBER PORT [CA_FILE]`: clients that repeat the same request without a pause.

Reads the request from standard input. Prints a line once all are connected and the first has been answered, and after
SIGTERM the number of answers by status.
"""

from __future__ import annotations

import asyncio
import collections
import json
import re
import signal
import ssl
import sys
from typing import Any

answers: collections.Counter[int] = collections.Counter()


async def ask_for_ever(
    port: int, context: ssl.SSLContext | None, request: bytes, connected: asyncio.Event, answered: asyncio.Event
) -> None:
    """Sends requests over one connection as long as it lasts, then over another."""
    name = "127.0.0.1" if context else None
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        except OSError:
            # The server ends slow handshakes.
            continue
        connected.set()
        try:
            while True:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
                await reader.readexactly(int(length[1]) if length else 0)
                answers[int(head.split(maxsplit=2)[1])] += 1
                answered.set()
        except (OSError, EOFError):
            writer.close()


async def main() -> None:
    """Runs until SIGTERM."""
    number, port = int(sys.argv[1]), int(sys.argv[2])
    context = ssl.create_default_context(cafile=sys.argv[3]) if len(sys.argv) > 3 else None
    request = sys.stdin.buffer.read()
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    connected, answered = [asyncio.Event() for _ in range(number)], asyncio.Event()
    clients = [asyncio.create_task(ask_for_ever(port, context, request, event, answered)) for event in connected]
    everybody = asyncio.gather(answered.wait(), *(event.wait() for event in connected))
    ending = asyncio.create_task(end.wait())
    reasons: list[asyncio.Future[Any]] = [everybody, ending]
    await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
    if everybody.done():
        print("answered", flush=True)
        await ending
    everybody.cancel()
    for client in clients:
        client.cancel()
    print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
