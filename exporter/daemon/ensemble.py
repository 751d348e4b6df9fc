"""Ensemble: watches one ZooKeeper ensemble with a client that keeps trying to connect, and a cache for each tree.

It polls the ensemble's servers too; of exporters that share trees, only the first does.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

from exporter.config.globs import Globs
from exporter.config.settings import DigestMd5, Ensemble, Gssapi, Tls, Tree
from exporter.daemon.faults import FaultLog, FaultMemory
from exporter.daemon.logs import OfEnsemble
from exporter.daemon.losthistory import LostHistory, newest_zxid
from exporter.daemon.views import Views
from exporter.process.logs import Flood
from exporter.servers.discovery import read_config
from exporter.servers.polling import Polling
from exporter.telemetry.instruments import ClientInstruments
from exporter.telemetry.sources import EnsembleSource
from exporter.telemetry.tracing import trace_client
from exporter.treecache import Shard, TreeCache
from exporter.treecache.observer import CacheObserver
from exporter.treecache.options import CacheOptions
from exporter.treecache.outcome import SyncBegun
from exporter.views.limits.view import LimitsView
from exporter.views.rules.view import RulesView
from exporter.zookeeper import quotas
from exporter.zookeeper.session import Session
from exporter.zookeeper.statechange import StateChange

#: Seconds before the client is started again: the first delay, which doubles up to the last.
FIRST_REVIVAL, LAST_REVIVAL = 1.0, 60.0

log = structlog.stdlib.get_logger("exporter")


class WatchedEnsemble:
    """One ensemble: a client that keeps trying to connect, and a cache for each tree, or for `shard`'s share of it.

    `start`, `update` and `stop` may be called from any thread, but not concurrently.
    """

    def __init__(self, settings: Ensemble, *, shard: Shard | None = None) -> None:
        self._settings = settings
        self._shard = shard or Shard()
        self._log = log.bind(ensemble=settings.name)
        self._flood = Flood(self._log_flood)
        options = client_options(settings)
        self._client = KazooClient(**options)
        self._session = Session.attach(self._client)
        self._session.limit_replies(settings.max_reply_bytes)
        options["logger"].server = lambda: self._session.tried
        # Giving up the session is safe: the exporter owns it, and it holds only watches.
        self._lost_history = LostHistory(partial(newest_zxid, options), settings.session_timeout, self._log)
        self._session.allow_giving_up(self._lost_history)
        self._session.listen(self._hear_state)
        trace_client(self._client)
        self._instruments = ClientInstruments(settings.name, self._session)
        self._instruments.start()
        self._faults: dict[str, FaultMemory] = {}
        self._rules = Views[RulesView]()
        self._limits = Views[LimitsView]()
        self._caches = {tree.name: self._cache(tree) for tree in settings.trees}
        self._servers = self._polling(settings)
        self._revival: threading.Timer | None = None
        self._revival_delay = FIRST_REVIVAL
        #: When the last connection began, until the client is revived after it.
        self._connected_at: float | None = None
        self._stopped = False

    @property
    def source(self) -> EnsembleSource:
        """The ensemble's client and caches now: every tree of its settings, also before the start."""
        return replace(
            self._instruments.source,
            caches=self._caches,
            faults=dict(self._faults),
            views=self._rules.shown(),
            limits=self._limits.shown(),
            quotas=partial(quotas.read, self._client) if self._settings.quotas else None,
            servers=self._servers,
        )

    @property
    def settings(self) -> Ensemble:
        """The settings in use."""
        return self._settings

    def start(self) -> None:
        """Starts the client and the caches, without waiting for a connection.

        If it cannot start, because it is out of threads or file descriptors, it raises the error and stops everything.
        """
        try:
            for cache in self._caches.values():
                cache.start()
            self._log.info("connecting", hosts=self._settings.hosts, trees=", ".join(self._caches))
            self._client.start_async()
            if self._servers is not None:
                self._servers.start()
        except Exception:
            # kazoo's stop fails if its start has failed.
            with contextlib.suppress(Exception):
                self.stop()
            raise

    def can_become(self, settings: Ensemble) -> bool:
        """Whether it can keep its session with these settings: only what it watches and reads has changed."""
        before, after = (replace(one, trees=(), servers=None, quotas=True) for one in (self._settings, settings))
        return before == after

    def update(self, settings: Ensemble) -> None:
        """Removes, adds and replaces trees as the settings have changed, and leaves all other trees alone.

        `can_become(settings)` must hold.

        Raises the error if a cache or the polling of servers cannot start, because it is out of threads or file
        descriptors. All other trees are updated; the next update retries this one.
        """
        settings, failure = self._change_servers(settings)
        before = {tree.name: tree for tree in self._settings.trees}
        after = {tree.name: tree for tree in settings.trees}
        for name in before.keys() & after.keys():
            if before[name] == after[name] or _differ_in_views(before[name], after[name]):
                self._change_views(before[name], after[name])
                before[name] = after[name]
        removed = [name for name, tree in before.items() if after.get(name) != tree]
        added = [name for name, tree in after.items() if before.get(name) != tree]
        new = {name: self._cache(after[name]) for name in added}
        caches = {name: cache for name, cache in self._caches.items() if name not in removed}
        closing = [self._caches[name] for name in removed]
        # Removed from `source` first: a scrape must not find caches that are being emptied.
        self._caches = caches
        for cache in closing:
            cache.close()
        for name in removed:
            self._log.info("tree removed", tree=name)
            if name not in after:
                del self._faults[name]
                self._rules.end(name)
                self._limits.end(name)
        self._caches = {name: caches.get(name) or new[name] for name in after}
        self._settings = settings
        failures = {name: failure for name in added if (failure := self._failure_to_add(after[name]))}
        if failures:
            self._caches = {name: cache for name, cache in self._caches.items() if name not in failures}
            trees = tuple(tree for tree in settings.trees if tree.name not in failures)
            self._settings = replace(settings, trees=trees)
            raise next(iter(failures.values()))
        if failure is not None:
            raise failure

    def _polling(self, settings: Ensemble) -> Polling | None:
        if settings.servers is None or self._shard.ordinal > 0:
            return None
        discovering = partial(read_config, self._session) if settings.servers.discover else None
        return Polling(settings.name, settings.hosts, settings.servers, settings.tls, discovering)

    def _change_servers(self, settings: Ensemble) -> tuple[Ensemble, Exception | None]:
        """Polls the servers as the settings say from now on; returns the settings in effect, and why others failed."""
        if settings.servers == self._settings.servers:
            return settings, None
        before, self._servers = self._servers, self._polling(settings)
        if before is not None:
            before.stop()
        try:
            if self._servers is not None:
                self._servers.start()
        except Exception as failure:
            self._servers = None
            return replace(settings, servers=None), failure
        self._log.info("polling of servers changed", on=settings.servers is not None)
        return settings, None

    def _change_views(self, before: Tree, after: Tree) -> None:
        """Replaces the views of a tree that differ, or have failed. The cache goes on as it is."""
        cache = self._caches[after.name]
        if before.rules != after.rules or self._rules.has_failed(after.name):
            self._rules.change(after.name, cache, _rules_of(cache, after))
            self._log.info("rules changed", tree=after.name, rules=len(after.rules))
        if before.limits != after.limits or self._limits.has_failed(after.name):
            self._limits.change(after.name, cache, LimitsView.of(cache, after.limits))
            self._log.info("limits changed", tree=after.name)

    def _failure_to_add(self, tree: Tree) -> Exception | None:
        cache = self._caches[tree.name]
        try:
            cache.start()
        except Exception as failure:
            cache.close()
            return failure
        self._log.info("tree added", tree=tree.name, path=tree.path)
        return None

    def stop(self) -> None:
        """Closes the caches and the session; blocks until the server answers."""
        self._stopped = True
        self._flood.close()
        if self._revival is not None:
            self._revival.cancel()
            self._revival.join()
        if self._servers is not None:
            self._servers.stop()
        for cache in self._caches.values():
            cache.close()
        try:
            self._client.stop()
        finally:
            self._client.close()
            self._lost_history.close()

    def _cache(self, tree: Tree) -> TreeCache:
        cache = TreeCache(self._client, tree.path, **cache_options(tree, self._shard).keywords())
        tree_log = self._log.bind(tree=tree.name)
        cache.listen_fault(FaultLog(tree_log))
        self._faults[tree.name] = faults = FaultMemory()
        cache.listen_fault(faults)
        cache.observe(_SyncLog(tree_log, cache, self._flood))
        self._rules.begin(tree.name, cache, _rules_of(cache, tree))
        self._limits.begin(tree.name, cache, LimitsView.of(cache, tree.limits))
        return cache

    def _hear_state(self, change: StateChange) -> None:
        """Logs a state change of the connection; runs on the connection's thread."""
        if self._stopped:
            return
        facts = _known(server=change.server, session=change.session_id, reason=change.reason)
        ages = {
            "connected_seconds": change.connected_for,
            "disconnected_seconds": change.disconnected_for,
            "session_seconds": change.session_age,
        }
        seconds = _known(**{name: None if age is None else round(age, 3) for name, age in ages.items()})
        if change.state in ("connected", "connected_ro"):
            self._connected_at = time.monotonic()
            event = "reconnected" if change.disconnected_for is not None else "connected"
            if self._flood.admits(event):
                self._log.info(event, **facts, **seconds)
        elif change.state == "suspended":
            if self._flood.admits("connection suspended"):
                self._log.info("connection suspended", **facts, **seconds)
        elif change.reason == "auth_failed":
            self._revive_later("authentication failed", facts | seconds)
        elif change.reason == "closed":
            self._revive_later("connection given up", facts | seconds)
        else:
            self._log.warning("session lost", **facts, **seconds)

    def _log_flood(self, held_back: int) -> None:
        self._log.warning("connection flapping", state=self._client.state.lower(), held_back=held_back)

    # kazoo gives up for good when a server refuses the credentials, when a connection drops during SASL, which it takes
    # for such a refusal, and after an unexpected error. The exporter starts the client again: passwords may be fixed on
    # the server.

    def _revive_later(self, event: str, facts: Mapping[str, Any]) -> None:
        if self._connected_at is not None and time.monotonic() - self._connected_at > LAST_REVIVAL:
            self._revival_delay = FIRST_REVIVAL
        self._connected_at = None
        delay = self._revival_delay
        self._revival_delay = min(2 * delay, LAST_REVIVAL)
        self._log.warning(event, retry_in=f"{delay:g}s", **facts)
        self._revival = threading.Timer(delay, self._revive)
        self._revival.daemon = True
        self._revival.start()

    def _revive(self) -> None:
        # Without stopping it first: kazoo's stop would queue a close request, which the next connection would send.
        if not self._stopped:
            self._client.start_async()


def _rules_of(cache: TreeCache, tree: Tree) -> RulesView | None:
    return RulesView.of(cache, tree.rules) if tree.rules else None


def _differ_in_views(before: Tree, after: Tree) -> bool:
    """Whether only the views of a tree differ, and the cache keeps the data that the new ones read."""
    if replace(before, rules=after.rules, limits=after.limits) != after:
        return False
    kept, wanted = ({path for rule in tree.rules for path in rule.read_patterns} for tree in (before, after))
    return after.options.keep_data or kept >= wanted


class _SyncLog(CacheObserver):
    """Logs each successful sync of a tree."""

    def __init__(self, logger: structlog.stdlib.BoundLogger, cache: TreeCache, flood: Flood) -> None:
        self._log = logger
        self._cache = cache
        self._flood = flood

    def sync_ended(self, sync: SyncBegun, at: float, complete: bool) -> None:
        if complete and self._flood.admits(("tree in sync", id(self._cache))):
            trace = sync.exemplar or {}
            seconds = round(at - sync.at, 3)
            self._log.info("tree in sync", reason=sync.reason, znodes=len(self._cache), seconds=seconds, **trace)


def _known(**facts: object) -> dict[str, Any]:
    """The known ones of some facts, for a log line."""
    return {name: fact for name, fact in facts.items() if fact not in (None, "")}


def client_options(settings: Ensemble) -> dict[str, Any]:
    """The arguments of KazooClient."""
    return {
        "hosts": settings.hosts,
        "timeout": settings.session_timeout,
        # Short enough that the session does not expire after a server is back.
        "connection_retry": KazooRetry(
            max_tries=-1, delay=0.1, backoff=2, max_delay=min(5, settings.session_timeout / 4)
        ),
        "auth_data": [("digest", f"{user.username}:{user.password.get_secret_value()}") for user in settings.digest],
        "logger": OfEnsemble(settings.name),
        **_sasl_options(settings.sasl),
        **_tls_options(settings.tls),
    }


def _sasl_options(sasl: DigestMd5 | Gssapi | None) -> dict[str, Any]:
    if isinstance(sasl, DigestMd5):
        options = {"username": sasl.username, "password": sasl.password.get_secret_value()}
        return {"sasl_options": {"mechanism": "DIGEST-MD5", **options}}
    if isinstance(sasl, Gssapi):
        principal = {} if sasl.principal is None else {"principal": sasl.principal}
        return {"sasl_options": {"mechanism": "GSSAPI", "service": sasl.service, **principal}}
    return {}


def _tls_options(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    return {
        "use_ssl": True,
        "ca": tls.ca_file and str(tls.ca_file),
        "certfile": tls.cert_file and str(tls.cert_file),
        "keyfile": tls.key_file and str(tls.key_file),
        "keyfile_password": tls.key_password and tls.key_password.get_secret_value(),
        "verify_certs": not tls.insecure_skip_verify,
        "check_hostname": tls.check_hostname,
    }


def cache_options(tree: Tree, shard: Shard | None = None) -> CacheOptions:
    """The options of the cache of a tree, or of `shard`'s share of it."""
    return replace(
        tree.options,
        name=tree.name,
        selector=Globs(tree.include, tree.exclude) if tree.include or tree.exclude else None,
        # A tree that is not sharded needs only a single watch.
        shard=shard if shard is not None and shard.total > 1 else None,
    )
