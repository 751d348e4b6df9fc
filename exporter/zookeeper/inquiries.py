"""Inquiries: finds out and remembers what each server supports, and reports it to the subscribers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kazoo.client import KazooClient
from kazoo.protocol.states import KeeperState

from exporter.zookeeper.capabilities import Capabilities
from exporter.zookeeper.client import Client
from exporter.zookeeper.connecting import Connecting
from exporter.zookeeper.inquiry import Inquiry
from exporter.zookeeper.messages import Capable, Connected
from exporter.zookeeper.stream import Stream, Submit
from exporter.zookeeper.traffic import Traffic
from exporter.zookeeper.wire import ReadRequest

logger = logging.getLogger(__name__)


class Inquiries:
    """The capabilities of the servers that one client connects to.

    Args:
        asked: the application's client.
        client: the same, as a session sees it.
        submit_through: returns a function that submits requests through a separate client.
    """

    def __init__(
        self,
        asked: KazooClient,
        client: Client,
        connecting: Connecting,
        stream: Stream,
        traffic: Traffic,
        capabilities: Capabilities,
        submit_through: Callable[[KazooClient], Submit],
    ) -> None:
        self.capabilities = capabilities
        self._asked = asked
        self._client = client
        self._connecting = connecting
        self._stream = stream
        self._traffic = traffic
        self._submit_through = submit_through
        #: The number of the connection that an inquiry is made for; None without an inquiry.
        self._inquiring: int | None = None
        self._connections = 0
        self._logged_recursive: dict[str, bool] = {}

    # Connections

    def connected(self) -> Connected:
        """The message about an established connection, with the known facts about its server."""
        read_only = self._client.client_state == KeeperState.CONNECTED_RO
        known, peer, now = self.capabilities, self._connecting.peer_now(), time.monotonic()
        server, recursive = self._connecting.server_now() or "", known.recursive(peer, now)
        return Connected(server, read_only, recursive, known.ask_in(peer, now), known.request_bytes(peer))

    def on_connection(self) -> None:
        """Handles a new connection."""
        self._connections += 1
        self._connecting.peer = self._connecting.peer_now()

    def on_hang_up(self) -> None:
        """Handles the loss of the connection."""
        shorter = self.capabilities.disconnected(self._connecting.peer, time.monotonic())
        if shorter is not None:
            logger.warning(
                "%s closed the connection on a long request, which probably exceeds its jute.maxbuffer: "
                "limiting requests to %d bytes",
                self._connecting.server,
                shorter,
            )

    def on_too_much(self, request: ReadRequest) -> None:
        """Handles a reply that is longer than the limit."""
        shorter = self.capabilities.answered_at_length(request, self._connecting.peer, time.monotonic())
        change = f"limiting requests to {shorter} bytes"
        if shorter is None:
            change = f"not reading {request.first_path[:100]!r} for a while"
        server = self._connecting.server_now() or self._connecting.server or ""
        logger.warning("%s sent a reply to %r that is too long: %s", server, request, change)

    # Inquiries

    def inquire(self) -> None:
        """Finds out what the connected server supports, unless an inquiry is under way; see `Session.inquire`."""
        with self._stream.lock:
            if not self._client.connected or self._inquiring == self._connections:
                return
            known = self.capabilities.recursive(self._connecting.peer_now(), time.monotonic())
            if known is not None:
                self._send_capable(known)
                return
            self._inquiring = self._connections
        try:
            self._client.handler.spawn(self._inquire, self._connections, self._connecting.peer_now())
        except Exception as error:
            # No thread can be started.
            logger.warning("Cannot find out the capabilities of %s: %s", self._connecting.server, error)
            self._on_found(self._connections, self._connecting.peer_now(), None)

    def _inquire(self, connection: int, peer: str) -> None:
        inquiry, found = None, None
        try:
            host, where = (self._connecting.server or "").rpartition(":")[0].strip("[]"), peer.rpartition(":")
            address = (host, where[0].strip("[]"), int(where[2]))
            inquiry = Inquiry(self._asked, self._client.sasl_options, address, self._submit_through)
            found = inquiry.ask()
        except Exception as error:
            logger.warning("Cannot find out the capabilities of %s: %s", peer, error)
        self._on_found(connection, peer, found)
        if inquiry is not None:
            inquiry.close()

    def _on_found(self, connection: int, peer: str, found: bool | None) -> None:
        server = self._connecting.server
        with self._stream.lock:
            if self._inquiring == connection:
                self._inquiring = None
            self._traffic.inquiries["undecided" if found is None else "recursive" if found else "classic"] += 1
            if connection != self._connections or not self._client.connected:
                return
            self.capabilities.found(peer, found, time.monotonic())
            if found is None:
                logger.info("%s did not answer whether it supports recursive watches and bulk reads", server)
            elif self._logged_recursive.get(peer, True) != found:
                word = "supports" if found else "does not support"
                logger.info("%s %s recursive watches and bulk reads", server, word)
            if found is not None:
                self._logged_recursive[peer] = found
            self._send_capable(found)

    def _send_capable(self, recursive: bool | None) -> None:
        ask_in = self.capabilities.ask_in(self._connecting.peer_now(), time.monotonic())
        self._stream.send(Capable(recursive, ask_in))
