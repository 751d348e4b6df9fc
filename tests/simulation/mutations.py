"""Mutations: each rule of the replica, broken on purpose, to show that the simulation notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

from exporter.treecache import findings, keeping, reconciler, recursive
from exporter.treecache.agenda import NO_LOADS, Agenda, Loads, Wanted
from exporter.treecache.answers import Answers, Verdict
from exporter.treecache.attachment import Attachment
from exporter.treecache.audit import Audit
from exporter.treecache.classic import ClassicStrategy
from exporter.treecache.comparison import Comparison
from exporter.treecache.dispatch import Dispatch
from exporter.treecache.events import TreeEvent
from exporter.treecache.freshness import Freshness
from exporter.treecache.loading import Loading
from exporter.treecache.looks import Look, Round
from exporter.treecache.outcome import Outbox
from exporter.treecache.pathqueue import PathQueue
from exporter.treecache.phases import Phase, Step
from exporter.treecache.reading import RateLimit
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.recursive import RecursiveStrategy
from exporter.treecache.refreshing import Refreshing
from exporter.treecache.replica import Replica
from exporter.treecache.rest import Rest
from exporter.treecache.scope import Scope
from exporter.treecache.sharded import ShardedStrategy
from exporter.treecache.timers import Timer
from exporter.treecache.tree import NEVER_LISTED, Branch, Tree
from exporter.treecache.unrest import Unrest
from exporter.treecache.walk import Walk
from exporter.zookeeper.barrier import BarrierRequest
from exporter.zookeeper.messages import DELETED, Barrier, Capable, Connected, Message, Reply, WatchEvent
from exporter.zookeeper.paths import Siblings
from exporter.zookeeper.records import pzxid_of
from exporter.zookeeper.wire import NO_AUTH, NO_NODE, AddWatch, MultiRead, ReadRequest, Request
from tests.simulation.plan import Options, Plan


class Mutation(NamedTuple):
    """A broken rule: its name says what then happens, and its code replaces the right one."""

    name: str
    owner: Any
    attribute: str
    replacement: Callable[[Any], Any]
    #: A plan that notices it, if drawn schedules do so too rarely.
    witness: Plan | None = None

    def applied(self) -> AbstractContextManager[Any]:
        """Breaks the rule within the context."""
        return patch.object(self.owner, self.attribute, self.replacement(getattr(self.owner, self.attribute)))


MUTATIONS: list[Mutation] = []

Replacement = Callable[[Any], Any]


def breaks(owner: Any, attribute: str, witness: Plan | None = None) -> Callable[[Replacement], Replacement]:
    """Registers a function that turns an attribute of a class or module into one that breaks a rule."""

    def register(replacement: Replacement) -> Replacement:
        MUTATIONS.append(Mutation(replacement.__name__, owner, attribute, replacement, witness))
        return replacement

    return register


# Watch first, read after


@breaks(Attachment, "_arm")
def watch_is_set_after_the_reads(original: Any) -> Any:
    def arm(self: Attachment, now: float) -> None:
        original(self, now)
        if self.phase is Phase.ARMING:
            self._dispatch.fill_window(now)
            self._outbox.requests.sort(key=lambda sent: isinstance(sent.request, AddWatch))

    return arm


@breaks(ClassicStrategy, "requests")
def one_shot_watch_is_not_set_again(original: Any) -> Any:
    def requests(self: ClassicStrategy, *arguments: Any) -> Iterator[Any]:
        for sending in original(self, *arguments):
            if sending.loads is NO_LOADS:
                body = sending.request.serialize()[:-1] + b"\0"
                sending.request.serialize = lambda body=body: body
            yield sending

    return requests


@breaks(ClassicStrategy, "lists_leaf")
def leaves_are_not_watched_for_children(original: Any) -> Any:
    return lambda self, path: False


@breaks(ClassicStrategy, "missing_root")
def missing_root_is_not_watched_for(original: Any) -> Any:
    return lambda self: None


@breaks(ShardedStrategy, "next_batch")
def child_of_a_shard_is_watched_after_the_reads(original: Any) -> Any:
    def next_batch(self: ShardedStrategy, *arguments: Any) -> Any:
        late, self.__dict__["late"] = self.__dict__.get("late", ()), ()
        sending = original(self, *arguments)
        if sending is None:
            return None
        self.__dict__["late"] = sending.watches
        return sending._replace(watches=late)

    return next_batch


@breaks(ShardedStrategy, "arm")
def children_of_a_shard_are_not_watched_again_after_a_reconnect(original: Any) -> Any:
    return lambda self: None


@breaks(ShardedStrategy, "lists_leaf")
def root_of_a_shard_is_not_watched_for_children(original: Any) -> Any:
    return lambda self, path: False


@breaks(ShardedStrategy, "disarm")
def watches_stay_on_children_that_are_gone(original: Any) -> Any:
    return lambda self, is_wanted: ()


@breaks(Dispatch, "_is_wanted")
def watch_is_taken_off_a_child_that_is_being_read(original: Any) -> Any:
    return lambda self, path: self._reconciler.tree.find(path) is not None


@breaks(Replica, "_on_armed")
def watch_that_was_not_set_is_taken_as_set(original: Any) -> Any:
    def on_armed(self: Replica, reply: Reply, now: float) -> None:
        self._dispatch.armed(reply.request)

    return on_armed


@breaks(Scope, "covers")
def events_of_other_shards_are_followed(original: Any) -> Any:
    def covers(self: Scope, path: str) -> bool:
        shard, self._shard = self._shard, None
        covered = bool(original(self, path))
        self._shard = shard
        return covered

    return covers


# Dirty until re-read


@breaks(Refreshing, "on_event")
def read_sent_before_the_event_clears_it(original: Any) -> Any:
    def on_event(self: Refreshing, event: WatchEvent) -> None:
        path = event.path[self._prefix_length :]
        if not any(path in request.reads for request in self._in_flight if isinstance(request, ReadRequest)):
            original(self, event)

    return on_event


@breaks(Dispatch, "abandon")
def dirty_paths_are_forgotten_on_reconnect(original: Any) -> Any:
    def abandon(self: Dispatch) -> None:
        original(self)
        self._agenda._reads, self._agenda._lists = PathQueue(), PathQueue()

    return abandon


@breaks(
    Dispatch,
    "take_back",
    Plan(Options(begins="loaded"), [("set", 24, 1), ("deliver", 0, 0), ("take", 0, 0), ("fail_to_queue", 0, 0)]),
)
def unanswered_reads_are_not_sent_again(original: Any) -> Any:
    def take_back(self: Dispatch, request: Request) -> bool:
        sent = self._in_flight.pop(request, None)
        if sent is not None and isinstance(request, ReadRequest):
            self._agenda.done(request, sent.loads)
        return sent is not None

    return take_back


@breaks(Answers, "_apply_error")
def failed_operation_is_not_tried_again(original: Any) -> Any:
    def apply_error(self: Answers, path: str, result: Any, *arguments: Any, **options: Any) -> Any:
        if result in (NO_NODE, NO_AUTH):
            return original(self, path, result, *arguments, **options)
        return Verdict(understood=True)

    return apply_error


@breaks(Answers, "apply")
def failed_request_counts_as_answered(original: Any) -> Any:
    def apply(self: Answers, *arguments: Any) -> Any:
        return original(self, *arguments)._replace(understood=True)

    return apply


@breaks(Answers, "apply")
def undecodable_answer_counts_as_understood(original: Any) -> Any:
    def apply(self: Answers, *arguments: Any) -> Any:
        try:
            return original(self, *arguments)
        except Exception:
            return Verdict(understood=True)

    return apply


@breaks(RecursiveStrategy, "dirty")
def parents_stat_is_not_refreshed(original: Any) -> Any:
    def dirty(self: RecursiveStrategy, kind: int, path: str) -> Any:
        reads, lists = original(self, kind, path)
        return reads[:1], lists

    return dirty


@breaks(ClassicStrategy, "dirty")
def children_that_came_are_not_listed(original: Any) -> Any:
    return lambda self, kind, path: ((path,), ())


@breaks(Reconciler, "recheck_suspects")
def miscounted_children_are_not_listed_again(original: Any) -> Any:
    return lambda self, now, *, at_rest: self.suspects.clear()


@breaks(Reconciler, "apply_record")
def orphans_are_dropped(original: Any) -> Any:
    def apply_record(self: Reconciler, path: str, record: bytes, load: bool, listed: bool = False) -> None:
        if not path or self.tree.get(path[: path.rindex("/")]) is not None:
            original(self, path, record, load, listed)

    return apply_record


# Never backwards


@breaks(Reconciler, "_goes_back")
def older_replaces_newer(original: Any) -> Any:
    return lambda self, read, held: False


@breaks(Reconciler, "_goes_back")
def restored_ensemble_is_not_believed(original: Any) -> Any:
    return lambda self, read, held: read < held


@breaks(Replica, "receive")
def deletion_is_not_final(original: Any) -> Any:
    def receive(self: Replica, message: Message, now: float) -> None:
        """Believes the event immediately, so that a read sent before it brings the znode back."""
        path = message.path[self._refreshing._prefix_length :] if isinstance(message, WatchEvent) else ""
        if isinstance(message, WatchEvent) and message.kind == DELETED and path:
            self._reconciler.remove(path)
            self._agenda.want_reads((path[: path.rindex("/")],), False)
        else:
            original(self, message, now)

    return receive


@breaks(reconciler, "history_of")
def re_creation_is_an_update(original: Any) -> Any:
    return lambda record: ((0, 0), *original(record)[1:])


@breaks(reconciler, "history_of")
def zxids_alone_tell_znodes_apart(original: Any) -> Any:
    def without_times(record: bytes) -> Any:
        (czxid, _), (mzxid, _), version = original(record)
        return (czxid, 0), (mzxid, 0), version

    return without_times


# Shortcuts


@breaks(Rest, "__bool__")
def shortcuts_are_taken_whatever_else_goes_on(original: Any) -> Any:
    return lambda self: True


# Reconnecting


@breaks(Attachment, "connected")
def no_barrier_after_a_reconnect(original: Any) -> Any:
    return lambda self, message, now: original(self, message._replace(read_only=True), now)


@breaks(Loading, "begin")
def no_resync_after_a_reconnect(original: Any) -> Any:
    def begin(self: Loading, reason: str, now: float) -> None:
        if reason == "start":
            original(self, reason, now)
        else:
            self._reconciler.begin_sync()
            self._agenda.survey(iter(()))

    return begin


@breaks(Reconciler, "_check_children")
def lists_are_skipped_although_children_came(original: Any) -> Any:
    def check_children(self: Reconciler, path: str, entry: Any, record: bytes, load: bool) -> None:
        if not load or not isinstance(entry, Branch) or entry.listed_pzxid == NEVER_LISTED:
            original(self, path, entry, record, load)

    return check_children


@breaks(Reconciler, "_update")
def any_read_counts_as_a_list(original: Any) -> Any:
    def update(self: Reconciler, path: str, entry: Any, record: bytes, *arguments: Any) -> bool:
        result = bool(original(self, path, entry, record, *arguments))
        if isinstance(entry, Branch):
            entry.listed_pzxid = pzxid_of(record)
        return result

    return update


@breaks(Attachment, "connected")
def refusal_is_not_remembered(original: Any) -> Any:
    return lambda self, message, now: original(self, message._replace(recursive=True), now)


@breaks(Attachment, "disconnected")
def watch_counts_as_kept_over_a_reconnect(original: Any) -> Any:
    def disconnected(self: Attachment, message: Any, now: float) -> None:
        armed = self.phase is Phase.LIVE
        original(self, message, now)
        if armed:
            self._arm = _arm_without_a_watch.__get__(self)  # type: ignore[method-assign]

    return disconnected


def _arm_without_a_watch(self: Attachment, now: float) -> None:
    self.phases.take(Step.READY)
    self._reconciler.follow(self._strategies.current.lists_leaf)
    self.phases.take(Step.ARMED)


# What the server supports


@breaks(Attachment, "_choose")
def undecided_server_is_taken_to_know_recursive_watches(original: Any) -> Any:
    return lambda self, recursive, *arguments: original(self, recursive is not False, *arguments)


@breaks(Attachment, "_choose")
def server_is_not_asked_again_although_it_may_have_changed(original: Any) -> Any:
    return lambda self, recursive, ask_in, now: original(self, recursive, None, now)


@breaks(Attachment, "_ask")
def inquiry_that_was_forgotten_is_waited_for(original: Any) -> Any:
    def ask(self: Attachment, now: float) -> None:
        original(self, now)
        self._timers.stop(Timer.INQUIRY)

    return ask


@breaks(Attachment, "connected")
def undecided_server_is_read_before_it_is_known(original: Any) -> Any:
    def connected(self: Attachment, message: Connected, now: float) -> None:
        original(self, message, now)
        if self.phase is Phase.ASKING:
            self._strategies.current = self._strategies._classic
            self._go_on(now)

    return connected


@breaks(Attachment, "capable")
def answer_that_comes_while_reading_is_not_believed(original: Any) -> Any:
    def capable(self: Attachment, message: Capable, now: float) -> None:
        if self.phase is Phase.ASKING:
            original(self, message, now)

    return capable


@breaks(Attachment, "capable")
def answer_that_comes_while_reading_does_not_begin_again(original: Any) -> Any:
    def capable(self: Attachment, message: Capable, now: float) -> None:
        if self.phase in (Phase.ASKING, Phase.REFUSED):
            original(self, message, now)
        elif self.phase is not Phase.DETACHED:
            self._choose(message.recursive, message.ask_in, now)

    return capable


@breaks(Attachment, "capable")
def refusal_that_is_taken_back_stands(original: Any) -> Any:
    def capable(self: Attachment, message: Capable, now: float) -> None:
        if self.phase is not Phase.REFUSED:
            original(self, message, now)

    return capable


_LAGS = [("set", 24, 1), ("settle", 0, 0), ("cut", 0, 0), ("connect", 3, 3)]


@breaks(
    Attachment,
    "capable",
    Plan(Options(begins="loaded", hesitation=65), [*_LAGS, ("turn", 0, 0), ("inform", 0, 0), *[("turn", 0, 0)] * 4]),
)
def no_barrier_before_the_reads_that_an_answer_leads_to(original: Any) -> Any:
    def capable(self: Attachment, message: Capable, now: float) -> None:
        self._loading.passed_barrier()
        original(self, message, now)

    return capable


# Phases: steps that the table does not allow raise, and would be wrong if they did not


@breaks(Attachment, "capable")
def answer_for_a_connection_that_is_gone_is_believed(original: Any) -> Any:
    def capable(self: Attachment, message: Capable, now: float) -> None:
        if self.phase is Phase.DETACHED:
            self.phases.take(Step.RECONSIDERED)
        original(self, message, now)

    return capable


@breaks(Attachment, "start_over")
def doubts_are_followed_where_nothing_is_read(original: Any) -> Any:
    def start_over(self: Attachment, now: float, error: BaseException | None = None) -> None:
        if self.phase in (Phase.DETACHED, Phase.ASKING, Phase.REFUSED):
            self.phases.take(Step.DOUBTED)
        original(self, now, error)

    return start_over


@breaks(Dispatch, "abandon")
def requests_of_a_connection_outlive_it(original: Any) -> Any:
    return lambda self: self._arming.clear()


@breaks(Attachment, "go_off")
def watch_that_is_set_is_set_again(original: Any) -> Any:
    def go_off(self: Attachment, now: float) -> None:
        if self.phase is Phase.LIVE:
            self.phases.take(Step.ARMED)
        original(self, now)

    return go_off


def _reads_begin_in(phase: Phase) -> Replacement:
    def replacement(original: Any) -> Any:
        def go_off(self: Attachment, now: float) -> None:
            original(self, now)
            if self.phase is phase:
                self.phases.current = Phase.LIVE

        return go_off

    replacement.__name__ = f"reads_begin_while_{phase.name.lower()}"
    return replacement


for _phase in (Phase.DETACHED, Phase.ASKING, Phase.BARRIER, Phase.ARMING, Phase.REFUSED):
    breaks(Attachment, "go_off")(_reads_begin_in(_phase))


# What listeners see


@breaks(Agenda, "loaded")
def initialized_before_the_load_is_complete(original: Any) -> Any:
    return property(lambda self: self._survey is None)


@breaks(Reconciler, "apply_names")
def children_of_a_load_are_not_the_loads(original: Any) -> Any:
    def apply_names(self: Reconciler, path: str, pzxid: int, names: list[str], load: bool) -> None:
        syncing, self.syncing = self.syncing, False
        original(self, path, pzxid, names, False)
        self.syncing = syncing

    return apply_names


@breaks(recursive, "Loads")
def path_asked_for_twice_counts_once(original: Any) -> Any:
    return lambda paths, everything, count: Loads(paths, everything, len(paths))


@breaks(Loading, "disconnected")
def suspension_ends_the_initialization(original: Any) -> Any:
    def disconnected(self: Loading, *, session_lost: bool) -> None:
        original(self, session_lost=session_lost)
        self.initialized = False

    return disconnected


@breaks(Loading, "disconnected")
def lost_session_stays_initialized(original: Any) -> Any:
    def disconnected(self: Loading, *, session_lost: bool) -> None:
        initialized = self.initialized
        original(self, session_lost=session_lost)
        self.initialized = initialized

    return disconnected


@breaks(Outbox, "publish")
def reconnection_is_published_after_the_differences(original: Any) -> Any:
    def publish(self: Outbox, event_type: int) -> None:
        if event_type == TreeEvent.INITIALIZED:
            original(self, TreeEvent.CONNECTION_RECONNECTED)
        if event_type != TreeEvent.CONNECTION_RECONNECTED:
            original(self, event_type)

    return publish


@breaks(Tree, "remove")
def parents_are_removed_before_their_children(original: Any) -> Any:
    return lambda self, path: original(self, path)[::-1]


@breaks(Reconciler, "hide")
def unreadable_znode_stays_as_it_was(original: Any) -> Any:
    return lambda self, path, load: None


@breaks(Answers, "_apply_multi_read")
def unreadable_znode_stops_the_rest(original: Any) -> Any:
    def apply_multi_read(self: Answers, request: MultiRead, results: list[Any], *arguments: Any) -> Any:
        reads = results[: len(request.reads)]
        if NO_AUTH in reads:
            end = reads.index(NO_AUTH) + 1
            request, results = MultiRead(request.prefix, request.reads[:end], []), results[:end]
        return original(self, request, results, *arguments)

    return apply_multi_read


@breaks(Scope, "covers")
def events_outside_of_the_scope_are_followed(original: Any) -> Any:
    return lambda self, path: True


@breaks(keeping, "without_data")
def data_is_kept(original: Any) -> Any:
    return lambda record: record


# Freshness checks


@breaks(Freshness, "_begin")
def check_does_not_wait_for_reads_under_way(original: Any) -> Any:
    def begin(self: Freshness, barrier: Barrier) -> None:
        original(self, barrier)
        assert self.check is not None
        self.check.requests.clear()

    return begin


@breaks(Agenda, "waiting")
def check_does_not_wait_for_reads_not_sent_yet(original: Any) -> Any:
    return lambda self: Wanted()


@breaks(Freshness, "begin_answer")
def check_does_not_wait_for_what_its_reads_lead_to(original: Any) -> Any:
    return lambda self, request: None


@breaks(Freshness, "sent")
def what_was_sent_counts_as_read(original: Any) -> Any:
    def sent(self: Freshness, request: ReadRequest) -> None:
        original(self, request)
        if self.check is not None:
            self.check.requests.discard(request)

    return sent


@breaks(Replica, "is_in_sync")
def barrier_counts_during_a_load(original: Any) -> Any:
    return property(lambda self: self._phases.current is Phase.LIVE)


@breaks(
    BarrierRequest,
    "verdict",
    Plan(
        Options(begins="loaded"),
        [
            ("cut", 0, 0),
            ("connect", 1, 3),
            ("settle", 0, 0),
            ("set", 24, 1),
            ("tick", 2, 0),
            ("fail", 0, 0),
            ("barrier", 0, 0),
            ("turn", 0, 0),
            ("turn", 0, 0),
        ],
    ),
)
def barrier_that_was_refused_counts(original: Any) -> Any:
    def verdict(self: BarrierRequest, answer: Message) -> Any:
        return original(self, answer._replace(error=0) if isinstance(answer, Reply) else answer)

    return verdict


@breaks(Replica, "receive")
def verified_moment_is_that_of_the_answer(original: Any) -> Any:
    def receive(self: Replica, message: Message, now: float) -> None:
        original(self, message._replace(asked_at=now) if isinstance(message, Barrier) else message, now)

    return receive


@breaks(Freshness, "failed")
def failed_barrier_is_waited_for(original: Any) -> Any:
    return lambda self, message, now: None


@breaks(Freshness, "loaded")
def loaded_tree_is_not_checked(original: Any) -> Any:
    return lambda self, now: None


@breaks(Comparison, "_compare")
def audit_compares_what_became_dirty(original: Any) -> Any:
    def compare(self: Comparison, path: str, look: Look, result: Any, round_: Round) -> None:
        round_.touched = Wanted()
        original(self, path, Look(is_second=True), result, round_)

    return compare


@breaks(Audit, "_wait_or_end")
def audit_does_not_end(original: Any) -> Any:
    return lambda self, now, is_pausing: None


@breaks(findings, "version_of")
def audit_takes_a_rollback_for_an_unreported_change(original: Any) -> Any:
    return lambda record: (0,)


@breaks(Comparison, "_compare_names")
def audit_compares_no_names(original: Any) -> Any:
    return lambda self, path, names, round_: self._listing.pop(path, None)


@breaks(Audit, "take_finding")
def what_an_audit_finds_is_not_healed(original: Any) -> Any:
    return lambda self: None


@breaks(Comparison, "read_unreported")
def change_without_an_event_is_not_read_again(original: Any) -> Any:
    return lambda self: self._unreported.clear()


@breaks(Reconciler, "begin_sync")
def resync_after_an_audit_believes_the_parents(original: Any) -> Any:
    """If a selector leaves out children, their number does not show that one is missing."""
    return lambda self, *, lists_all=False: original(self)


@breaks(
    Unrest,
    "_decisive",
    Plan(
        Options(mode="classic", audit_interval=30.0, begins="loaded"),
        [
            ("tick", 3, 0),
            ("create_again", 2, 0),
            ("turn", 1, 0),
            ("fail", 3, 0),
            ("create_again", 0, 1),
            ("create_again", 2, 8),
        ],
    ),
)
def audit_does_not_wait_for_the_list_that_would_bring_a_znode(original: Any) -> Any:
    return lambda self, path: iter((path,))


@breaks(
    Comparison,
    "put_off",
    Plan(
        Options(audit_interval=30.0),
        [("turn", 0, 0), ("turn", 0, 0), ("swap", 2, 0), ("spoil", 0, 0), ("spoil", 0, 0)],
    ),
)
def looks_that_are_put_off_are_forgotten(original: Any) -> Any:
    return lambda self, path, look, reason: None


@breaks(Tree, "differing")
def audit_takes_each_leaf_to_be_right(original: Any) -> Any:
    return lambda self, paths, records: []


@breaks(MultiRead, "differing")
def each_answer_is_taken_for_what_is_held(original: Any) -> Any:
    return lambda self, expected, body, offset: {}


@breaks(Walk, "_sampled")
def walk_leaves_out_every_second_znode(original: Any) -> Any:
    def sampled(self: Walk, *arguments: Any) -> Siblings:
        run: Siblings = original(self, *arguments)
        return Siblings(run.stem, run.names[::2])

    return sampled


# Kind to the ensemble, and to memory


@breaks(RateLimit, "allowance")
def rate_limit_is_ignored(original: Any) -> Any:
    return lambda self, now, wanted=1: None


@breaks(RecursiveStrategy, "requests")
def window_is_ignored(original: Any) -> Any:
    def requests(self: RecursiveStrategy, agenda: Any, in_flight: int, *arguments: Any) -> Any:
        return original(self, agenda, 0, *arguments)

    return requests


@breaks(Tree, "fold")
def branches_are_not_folded(original: Any) -> Any:
    return lambda self, path: None


@breaks(Tree, "_count")
def totals_never_fall(original: Any) -> Any:
    def count(self: Tree, record: bytes, sign: int) -> None:
        if sign > 0:
            original(self, record, sign)

    return count
