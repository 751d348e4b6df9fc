"""Names elsewhere: which names of known rules and dashboards the exporter gives by default, which with all, which not.

tests/integration/test_expressions_elsewhere.py asks a real Prometheus for them.
"""

from __future__ import annotations

from itertools import chain

import pytest

from exporter.servers.readings import readings
from exporter.telemetry.sources import ServerStats
from tests.servers import known
from tests.servers.elsewhere import MISSING, SOURCES

#: Names that only `names: all` gives.
ONLY_WITH_ALL = """
add_dead_watcher_stall_time close_session_prep_time_sum commit_commit_proc_req_queued_sum commit_process_time_sum
commit_propagation_latency_sum concurrent_request_processing_in_commit_processor_sum connection_token_deficit_sum
dbinittime_count dbinittime_sum dead_watchers_cleaner_latency_sum dead_watchers_cleared dead_watchers_queued
ensemble_auth_skip ensemble_auth_success follower_sync_time_sum last_client_response_size
learner_commit_received_count learner_handler_qp_size_sum local_write_committed_time_ms_sum max_client_response_size
min_client_response_size node_changed_watch_count_sum node_children_watch_count_sum node_created_watch_count_sum
node_deleted_watch_count_sum om_commit_process_time_ms_sum om_proposal_process_time_ms_sum
outstanding_changes_queued outstanding_changes_removed pending_session_queue_size_sum prep_process_time_sum
prep_processor_queue_size_sum prep_processor_queue_time_ms_sum prep_processor_request_queued
proposal_ack_creation_latency proposal_latency_sum quit_leading_due_to_disloyal_voter read_commit_proc_issued_sum
read_commit_proc_req_queued_sum read_commitproc_time_ms_sum read_final_proc_time_ms_sum read_per_namespace_sum
reads_after_write_in_session_queue_sum reads_issued_from_session_queue_sum request_commit_queued
requests_in_session_queue_sum response_packet_cache_hits response_packet_cache_misses
response_packet_get_children_cache_hits response_packet_get_children_cache_misses server_write_committed_time_ms_sum
session_queues_drained_sum stale_requests_dropped startup_snap_load_time_count startup_snap_load_time_sum
startup_txns_loaded_count startup_txns_loaded_sum sync_process_time_sum sync_processor_batch_size_sum
sync_processor_queue_flush_time_ms_sum sync_processor_queue_size_sum sync_processor_request_queued
time_waiting_empty_pool_in_commit_processor_read_ms_sum unsuccessful_handshake
write_batch_time_in_commit_processor_sum write_commit_proc_issued_sum write_commit_proc_req_queued_sum
write_commitproc_time_ms_sum write_final_proc_time_ms_sum write_per_namespace_sum
"""


def given(wants_all: bool) -> set[str]:
    """The names of all recorded servers of 3.9, without `zk_`."""
    servers: list[ServerStats] = [known.by_mntr("3.9.5", role) for role in ("leader", "follower")]
    return {reading.name.removeprefix("zk_") for server in servers for reading in readings(server, wants_all)}


@pytest.mark.parametrize("source", SOURCES)
def test_each_name_is_given_or_has_a_reason_not_to_be(source: str) -> None:
    asked = {name.removeprefix("zk_") for name in SOURCES[source].split()}
    assert len(asked) == len(SOURCES[source].split())
    by_default, with_all = given(wants_all=False), given(wants_all=True)
    assert by_default <= with_all
    assert asked - with_all == asked & MISSING.keys()
    assert (asked & with_all) - by_default == asked & set(ONLY_WITH_ALL.split())


def test_nothing_is_listed_that_nobody_asks_for() -> None:
    asked = {name.removeprefix("zk_") for name in chain.from_iterable(text.split() for text in SOURCES.values())}
    assert asked >= {*ONLY_WITH_ALL.split(), *MISSING}
    assert all(MISSING.values())


@pytest.mark.parametrize("source", ["11442", "awesome-prometheus-alerts"])
def test_sources_that_use_the_names_of_mntr_need_no_more_than_the_default(source: str) -> None:
    asked = {name.removeprefix("zk_") for name in SOURCES[source].split()}
    assert asked <= given(wants_all=False)
