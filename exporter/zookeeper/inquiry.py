"""Inquiry: asks a server on a separate connection whether it supports recursive watches and bulk reads.

A server before ZooKeeper 3.6 answers an unknown opcode with UNIMPLEMENTED and closes the connection
(``UnimplementedRequestProcessor``). On the application's connection, that would fail the application's calls. No
harmless request distinguishes 3.6 from 3.5: the handshake has no version, ``srvr`` is often forbidden, a proxy forwards
it to a server that supports more than the proxy, and ``/zookeeper/config`` exists from 3.5 on. So a separate client,
whose session ends with the inquiry, tries both requests.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

from exporter.zookeeper.kazoo.seam import adapt
from exporter.zookeeper.messages import Message, Reply
from exporter.zookeeper.stream import Submit
from exporter.zookeeper.wire import MARSHALLING_ERROR, UNIMPLEMENTED, AddWatch, MultiRead, Request

#: The maximum duration of an inquiry in seconds, without the end of its session.
PATIENCE = 5.0
#: Connections in a row that end without an answer: a proxy that hangs up on unknown requests.
HANG_UPS = 3
#: The session timeout in seconds: a server that is too old closes the connection but not the session.
_SESSION_TIMEOUT = 4.0
#: A znode of every server from 3.5 on, which rarely changes; it need not exist, nor be readable.
_PATH = "/zookeeper/config"

#: kazoo's messages about closed connections are expected here.
_quiet = logging.getLogger("exporter.zookeeper.inquiry.kazoo")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class Inquiry:
    """One inquiry; close it. It uses the handler, the credentials and the TLS options of the application's `client`.

    Args:
        client: the application's client.
        sasl_options: the client's SASL options, if any.
        address: the server to ask: its name, its IP address and its port.
        submit_through: returns a function that submits requests through a client.
    """

    def __init__(
        self,
        client: KazooClient,
        sasl_options: dict[str, Any] | None,
        address: tuple[str, str, int],
        submit_through: Callable[[KazooClient], Submit],
    ) -> None:
        handler = type(client.handler)()
        self._client = KazooClient(
            timeout=_SESSION_TIMEOUT,
            handler=handler,
            auth_data=set(client.auth_data),
            sasl_options=None if sasl_options is None else dict(sasl_options),
            read_only=client.read_only,
            connection_retry=KazooRetry(max_tries=-1, delay=0.02, max_delay=0.2, sleep_func=handler.sleep_func),
            logger=_quiet,
            keyfile=client.keyfile,
            keyfile_password=client.keyfile_password,
            certfile=client.certfile,
            ca=client.ca,
            use_ssl=client.use_ssl,
            verify_certs=client.verify_certs,
            check_hostname=client.check_hostname,
        )
        self._submit = submit_through(self._client)
        adapt(self._client).expand_hosts = lambda: [address]
        self._deadline = 0.0

    def ask(self) -> bool | None:
        """Whether the server supports both requests; None if that cannot be found out in time."""
        self._deadline = time.monotonic() + PATIENCE
        try:
            self._client.start(PATIENCE)
            return self._knows(AddWatch) and self._knows(lambda path: MultiRead("", [path], []))
        except Exception as error:
            _quiet.debug("an inquiry failed: %s", error)
            return None

    def close(self) -> None:
        """Ends the session. This waits for a server that does not answer, so report the result first."""
        with contextlib.suppress(Exception):
            self._client.stop()
            self._client.close()

    def _knows(self, request: Callable[[str], Request]) -> bool | None:
        for _ in range(HANG_UPS):
            if not self._wait_connected():
                return None
            answer = self._answer_to(request(_PATH))
            if answer is None:
                return None
            if isinstance(answer, Reply):
                return answer.error not in (UNIMPLEMENTED, MARSHALLING_ERROR)
        return False

    def _answer_to(self, request: Request) -> Message | None:
        answered, answers = self._client.handler.event_object(), list[Message]()

        def take(message: Message) -> None:
            answers.append(message)
            answered.set()

        self._submit(request, take)
        answered.wait(max(0.0, self._deadline - time.monotonic()))
        return answers[0] if answers else None

    def _wait_connected(self) -> bool:
        while not self._client.connected:
            if time.monotonic() >= self._deadline:
                return False
            self._client.handler.sleep_func(0.005)
        return True
