"""Standing: the state of a client, when it entered that state, and how its sessions end."""

from __future__ import annotations

import time

from kazoo.protocol.states import KazooState, KeeperState

from exporter.zookeeper.client import Client
from exporter.zookeeper.connecting import Connecting
from exporter.zookeeper.heritage import Heritage
from exporter.zookeeper.statechange import StateChange, session_in_hex
from exporter.zookeeper.traffic import Traffic


class Standing:
    """The standing of one client; changed on the connection's thread."""

    def __init__(self, client: Client, connecting: Connecting, traffic: Traffic, heritage: Heritage) -> None:
        self._client = client
        self._connecting = connecting
        self._traffic = traffic
        self._heritage = heritage
        self._state = client.state
        self._connected_at: float | None = None
        self._disconnected_at: float | None = None

    @property
    def state(self) -> str:
        """One of `CLIENT_STATES`."""
        if self._heritage.is_dead:
            return "lost"
        if self._state == KazooState.CONNECTED:
            return "connected_ro" if self._client.client_state == KeeperState.CONNECTED_RO else "connected"
        if self._state == KazooState.SUSPENDED:
            return "suspended"
        return "lost" if self._connecting.ever_connected else "connecting"

    @property
    def is_connected(self) -> bool:
        """Whether the client has a connection, on which the server has accepted its credentials, if any."""
        return not self._heritage.is_dead and self._state == KazooState.CONNECTED

    @property
    def session_id(self) -> str:
        """The session's id, as ZooKeeper logs it; "" without a session."""
        return session_in_hex(self._client.session_id)

    def found(self) -> None:
        """Notes the state in which the session finds the client; the state must not change meanwhile."""
        self._state = self._client.state

    def connected(self) -> StateChange:
        """Notes a connection."""
        self._state = KazooState.CONNECTED
        change = self._change("")
        self._connecting.ever_connected = True
        self._connected_at, self._disconnected_at = time.monotonic(), None
        return change

    def disconnected(self, state: KazooState, reason: str) -> StateChange:
        """Notes the loss of the connection, or of the session."""
        self._state = state
        # A session may be lost before the server has accepted the client's credentials for the first time.
        self._connecting.ever_connected = True
        change = self._change(reason)
        self._disconnected_at = self._disconnected_at or time.monotonic()
        self._connected_at = None
        return change

    def replacement(self) -> StateChange | None:
        """Ends a session that a server has silently replaced by a new one, if any.

        ClickHouse Keeper does that. kazoo and its users take the new session for the old one, but the old session's
        ephemerals are gone.
        """
        replaced, self._connecting.replaced = self._connecting.replaced, None
        if replaced is None:
            return None
        self._traffic.pinged_zxid = 0
        self._traffic.sessions_lost["replaced"] += 1
        session_id, started = replaced
        return self._change("replaced")._replace(state="lost", session_id=session_id, session_age=_age(started))

    def end_of_session(self) -> str:
        """Counts the end of a session; returns its reason, one of `LOST_REASONS` or `closed`."""
        self._traffic.pinged_zxid = 0
        given_up, self._connecting.given_up = self._connecting.given_up, False
        reasons = {
            KeeperState.EXPIRED_SESSION: "given_up" if given_up else "expired",
            KeeperState.AUTH_FAILED: "auth_failed",
        }
        reason = reasons.get(self._client.client_state, "closed")
        if reason in self._traffic.sessions_lost:
            self._traffic.sessions_lost[reason] += 1
        return reason

    def _change(self, reason: str) -> StateChange:
        return StateChange(
            state=self.state,
            server=self._connecting.tried or self._connecting.server,
            session_id=self.session_id,
            reason=reason,
            session_age=_age(self._connecting.session_started),
            connected_for=_age(self._connected_at),
            disconnected_for=_age(self._disconnected_at),
        )


def _age(monotonic: float | None) -> float | None:
    return None if monotonic is None else time.monotonic() - monotonic
