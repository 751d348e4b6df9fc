"""Names elsewhere: the names of ZooKeeper's numbers that known rules and dashboards ask for, and which are missing.

Where a source asks ZooKeeper's own Prometheus endpoint, the relabelling in docs/servers.md takes `zk_` off ours.
"""

from __future__ import annotations

from collections.abc import Mapping

#: ZooKeeper's monitoring guide, Alerting with Prometheus: monitor-and-audit-logs.mdx of its website at 53a78e3.
GUIDE = """
approximate_data_size avg_latency election_time_count fsynctime_sum jvm_memory_bytes_max jvm_memory_bytes_used
num_alive_connections open_file_descriptor_count snapshottime_sum up watch_count znode_count
"""
#: samber/awesome-prometheus-alerts, dist/rules/zookeeper/dabealu-zookeeper-exporter.yml at 4acbddb.
AWESOME = "zk_ruok zk_server_leader zk_up"
#: Altinity/clickhouse-operator, deploy/prometheus/prometheus-alert-rules-zookeeper.yaml at 10b59c2, texts included.
CLICKHOUSE = """
avg_latency connection_rejected digest_mismatches_count ensemble_auth_fail ephemerals_count fsynctime fsynctime_count
fsynctime_sum jvm_threads_current jvm_threads_deadlocked jvm_threads_state large_requests_rejected
max_file_descriptor_count open_file_descriptor_count outstanding_requests outstanding_tls_handshake
pending_session_queue_size pending_syncs process_open_fds request_throttle_wait_count response_packet_cache_hits
response_packet_cache_misses response_packet_get_children_cache_hits response_packet_get_children_cache_misses
sessionless_connections_expired stale_requests_dropped unrecoverable_error_count unsuccessful_handshake up uptime
"""
#: Grafana's dashboard 11442, of the exporter dabealu/zookeeper-exporter.
DASHBOARD_11442 = """
zk_approximate_data_size zk_avg_latency zk_ephemerals_count zk_max_file_descriptor_count zk_max_latency zk_min_latency
zk_num_alive_connections zk_open_file_descriptor_count zk_outstanding_requests zk_packets_received zk_packets_sent
zk_server_leader zk_up zk_version zk_watch_count zk_znode_count
"""
#: Grafana's dashboard 10465, which ZooKeeper's guide names; a copy of August 2020.
DASHBOARD_10465 = """
ack_latency_sum add_dead_watcher_stall_time approximate_data_size avg_latency bytes_received_count
close_session_prep_time_sum commit_commit_proc_req_queued_sum commit_count commit_process_time_sum
commit_propagation_latency_sum concurrent_request_processing_in_commit_processor_sum connection_drop_count
connection_drop_probability connection_rejected connection_request_count connection_token_deficit_sum dbinittime
dbinittime_count dbinittime_sum dead_watchers_cleaner_latency_sum dead_watchers_cleared dead_watchers_queued
diff_count digest_mismatches_count election_time election_time_count election_time_sum ensemble_auth_fail
ensemble_auth_skip ensemble_auth_success ephemerals_count follower_sync_time_sum fsynctime fsynctime_count
fsynctime_sum global_sessions jvm_classes_loaded jvm_gc_collection_seconds_sum jvm_memory_pool_bytes_used
jvm_pause_time_ms_sum jvm_threads_current jvm_threads_deadlocked jvm_threads_state last_client_response_size
last_proposal_size leader_uptime learner_commit_received_count learner_handler_qp_size_sum learners local_sessions
local_write_committed_time_ms_sum looking_count max_client_response_size max_latency max_proposal_size
min_client_response_size min_latency min_proposal_size node_changed_watch_count_sum node_children_watch_count_sum
node_created_watch_count_sum node_deleted_watch_count_sum num_alive_connections om_commit_process_time_ms_sum
om_proposal_process_time_ms_sum open_file_descriptor_count outstanding_changes_queued outstanding_changes_removed
outstanding_requests outstanding_tls_handshake packets_received packets_sent pending_session_queue_size_sum
prep_process_time_sum prep_processor_queue_size_sum prep_processor_queue_time_ms_sum prep_processor_request_queued
propagation_latency_sum proposal_ack_creation_latency proposal_count proposal_latency_sum
quit_leading_due_to_disloyal_voter quorum_ack_latency_sum quorum_size read_commit_proc_issued_sum
read_commit_proc_req_queued_sum read_commitproc_time_ms_sum read_final_proc_time_ms_sum read_per_namespace_sum
readlatency_sum reads_after_write_in_session_queue_sum reads_issued_from_session_queue_sum request_commit_queued
requests_in_session_queue_sum response_packet_cache_hits response_packet_cache_misses
response_packet_get_children_cache_hits response_packet_get_children_cache_misses revalidate_count
server_write_committed_time_ms_sum session_queues_drained_sum sessionless_connections_expired snap_count
snapshottime_count snapshottime_sum stale_sessions_expired startup_snap_load_time startup_snap_load_time_count
startup_snap_load_time_sum startup_txns_loaded startup_txns_loaded_count startup_txns_loaded_sum
sync_process_time_sum sync_processor_batch_size_sum sync_processor_queue_flush_time_ms_sum
sync_processor_queue_size_sum sync_processor_request_queued synced_non_voting_followers synced_observers
time_waiting_empty_pool_in_commit_processor_read_ms_sum tls_handshake_exceeded unrecoverable_error_count
updatelatency_sum uptime watch_count write_batch_time_in_commit_processor_sum write_commit_proc_issued_sum
write_commit_proc_req_queued_sum write_commitproc_time_ms_sum write_final_proc_time_ms_sum write_per_namespace_sum
znode_count
"""
SOURCES = {
    "guide": GUIDE,
    "awesome-prometheus-alerts": AWESOME,
    "clickhouse-operator": CLICKHOUSE,
    "11442": DASHBOARD_11442,
    "10465": DASHBOARD_10465,
}

_OF_THE_JVM = "only the endpoint inside the server knows its JVM; mntr has jvm_pause_time_ms"
_MEDIAN = "mntr has sum and count, and no quantile of these; a server with the endpoint says the median to mntr too"
#: Names that the recorded servers do not say to `mntr`, and why.
MISSING: Mapping[str, str] = {
    "ack_latency_sum": "with `names: all` there at every 1,000th transaction (ackLoggingFrequency), with a label key",
    "dbinittime": _MEDIAN,
    "election_time": _MEDIAN,
    "fsynctime": _MEDIAN,
    "jvm_classes_loaded": _OF_THE_JVM,
    "jvm_gc_collection_seconds_sum": _OF_THE_JVM,
    "jvm_memory_bytes_max": _OF_THE_JVM,
    "jvm_memory_bytes_used": _OF_THE_JVM,
    "jvm_memory_pool_bytes_used": _OF_THE_JVM,
    "jvm_threads_current": _OF_THE_JVM,
    "jvm_threads_deadlocked": _OF_THE_JVM,
    "jvm_threads_state": _OF_THE_JVM,
    "pending_session_queue_size": _MEDIAN,
    "process_open_fds": "the same as open_file_descriptor_count, by the endpoint's client library",
    "startup_snap_load_time": _MEDIAN,
    "startup_txns_loaded": _MEDIAN,
}
