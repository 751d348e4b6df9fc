"""Stories: for each alert about znodes the series with which it fires, just does not, and resolves.

A value is written as in promtool's series, one a minute; a star stands for the length of the story. A metric is without
the beginning that all have, and with the labels that tell its series apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

#: The values of each series.
Series = Mapping[str, str]


class Story(NamedTuple):
    """What happens to three trees.

    Attributes:
        summary: what the alert about the tree called ``fires`` says.
        fires: the series with which it fires for good.
        quiet: those with which it just does not.
        resolves: those with which it fires and resolves.
        at: the minute at which it fires for both trees.
        after: a later minute, at which it has resolved for one of them.
        labels: those of the alert besides that of the tree.
    """

    summary: str
    fires: Series
    quiet: Series
    resolves: Series
    at: int = 20
    after: int = 40
    labels: Mapping[str, str] = {}


def above(metric: str, too_much: int, enough: int, wait: int, summary: str, **labels: str) -> Story:
    """A value that is too much for longer than so many minutes."""
    return Story(
        summary,
        {metric: f"{too_much}x*"},
        {metric: f"{too_much}x{wait - 1} {enough}x*"},
        {metric: f"{too_much}x{wait + 2} {enough}x*"},
        wait + 1,
        wait + 10,
        labels,
    )


def fewer(metric: str, summary: str, before: int = 3, left: int = 2, **labels: str) -> Story:
    """Fewer than before, for longer than 10 minutes."""
    return Story(
        summary,
        {metric: f"{before}x5 {left}x*"},
        {metric: f"{before}x5 {left}x8 {before}x*"},
        {metric: f"{before}x5 {left}x15 {before}x*"},
        labels=labels,
    )


def missing(expects: str, missed: str, wait: int, summary: str, **labels: str) -> Story:
    """A series that others expect is missing for longer than so many minutes."""
    return Story(
        summary,
        {expects: "3x*"},
        {expects: "3x*", missed: f"1x5 {'stale ' * wait}1x*"},
        {expects: "3x*", missed: f"1x5 {'stale ' * (wait + 4)}1x*"},
        wait + 8,
        wait + 20,
        labels,
    )


def changing(metric: str, limit: int, summary: str, **labels: str) -> Story:
    """More changes than so many within an hour."""
    steps = " ".join(map(str, range(limit + 1)))
    return Story(
        summary,
        {metric: "0x30 1 2 3 4 5x*"},
        {metric: f"{steps} {limit}x*"},
        {metric: f"{steps} {limit + 1}x*"},
        40,
        80,
        labels,
    )


def of_one(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


ORDERS = "com.example.OrderService"
SHARD = of_one(collection="films", shard="shard1")
MAIN = of_one(scope="main")
MEMBER = {"scope": "main", "member": "pg-2", "role": "replica"}
NAMESERVICE = of_one(nameservice="mycluster")
CLUSTER = of_one(cluster="yarn")

STORIES: Mapping[str, Story] = {
    # BookKeeper
    "BookKeeperBookiesMissing": Story(
        "Bookies of main fires that are not registered: 1.",
        {"bookkeeper_known_bookies": "4x*", "bookkeeper_bookies": "2x*", "bookkeeper_readonly_bookies": "1x*"},
        {"bookkeeper_known_bookies": "4x*", "bookkeeper_bookies": "2x*", "bookkeeper_readonly_bookies": "1x9 2x*"},
        {"bookkeeper_known_bookies": "4x*", "bookkeeper_bookies": "2x25 3x*", "bookkeeper_readonly_bookies": "1x*"},
    ),
    "BookKeeperBookiesReadOnly": above(
        "bookkeeper_readonly_bookies", 2, 0, 10, "Bookies of main fires that are read-only: 2."
    ),
    "BookKeeperLedgersUnderreplicated": above(
        "bookkeeper_underreplicated_ledgers",
        7,
        0,
        60,
        "Ledgers of main fires that have had too few copies for more than 1h: 7.",
    ),
    "BookKeeperAuditorMissing": missing(
        "bookkeeper_bookies",
        'bookkeeper_auditor_info{owner="a"}',
        10,
        "No auditor looks for ledgers of main fires that lose copies; bookies that can write: 3.",
    ),
    "BookKeeperAutoRecoveryDisabled": above(
        "bookkeeper_autorecovery_disabled",
        1,
        0,
        360,
        "The repair of ledgers of main fires has been disabled for more than 6h.",
    ),
    # ClickHouse
    "ClickHouseReplicaInactive": Story(
        "Tables of main fires for which the replica r2 is not active: 5.",
        {'clickhouse_replicas{replica="r1"}': "5x*", 'clickhouse_replicas{replica="r2"}': "5x*"}
        | {'clickhouse_active_replicas{replica="r1"}': "5x*"},
        {'clickhouse_replicas{replica="r2"}': "5x*", 'clickhouse_active_replicas{replica="r2"}': "4x9 5x*"},
        {'clickhouse_replicas{replica="r2"}': "5x*", 'clickhouse_active_replicas{replica="r2"}': "4x25 5x*"},
        labels={"replica": "r2"},
    ),
    "ClickHouseReplicaLost": above(
        'clickhouse_lost_replicas{replica="r2"}',
        2,
        0,
        10,
        "Tables of main fires that the replica r2 has to copy again: 2.",
        replica="r2",
    ),
    "ClickHouseQueueLong": above(
        'clickhouse_largest_queue{replica="r2"}',
        501,
        500,
        30,
        "Entries in a queue of the replica r2 of main fires: 501.",
        replica="r2",
    ),
    # Curator
    "CuratorServiceGone": Story(
        "The service web of main fires has no instance; within 1h it had 3.",
        {'curator_instances{service="web"}': "3x5 stale"},
        {'curator_instances{service="web"}': "3x5 stale stale 1x*"},
        {'curator_instances{service="web"}': "3x5 stale stale stale stale stale 1x*"},
        10,
        20,
        {"service": "web"},
    ),
    "CuratorInstancesHalved": fewer(
        'curator_instances{service="web"}',
        "Instances of the service web of main fires that are left: 1; within 1h there were twice as many, or more.",
        left=1,
        service="web",
    ),
    # Dubbo
    "DubboProvidersMissing": missing(
        f"dubbo_consumers{of_one(interface=ORDERS)}",
        f"dubbo_providers{of_one(interface=ORDERS)}",
        2,
        f"The interface {ORDERS} of main fires has no live provider; consumers: 3.",
        interface=ORDERS,
    ),
    "DubboProvidersHalved": fewer(
        f"dubbo_providers{of_one(interface=ORDERS)}",
        f"Providers of {ORDERS} of main fires that are left: 1; within 1h there were twice as many, or more.",
        left=1,
        interface=ORDERS,
    ),
    # HBase
    "HBaseMasterMissing": above("hbase_active_master", 0, 1, 2, "No master of main fires is active."),
    "HBaseMasterChanging": changing(
        "hbase_active_master_since_timestamp_seconds",
        2,
        "Changes of the active master of main fires within 1h: 5.",
    ),
    "HBaseRegionServersMissing": fewer(
        "hbase_regionservers", "Region servers of main fires that are left: 2; within 1h there were more."
    ),
    "HBaseRegionsInTransition": above(
        "hbase_regions_in_transition", 4, 0, 15, "Regions of main fires in transition for more than 15m: 4."
    ),
    "HBaseReplicationBehind": above(
        'hbase_replication_logs{peer="1"}',
        101,
        100,
        30,
        "Logs of main fires that wait for the peer 1: 101.",
        peer="1",
    ),
    # Hadoop
    "HdfsActiveNameNodeMissing": missing(
        f"hdfs_nameservice{NAMESERVICE}",
        f"hdfs_active_namenode{NAMESERVICE}",
        1,
        "The nameservice mycluster of main fires has no active NameNode.",
        nameservice="mycluster",
    ),
    "HdfsActiveNameNodeChanging": changing(
        f"hdfs_active_namenode_since_timestamp_seconds{NAMESERVICE}",
        2,
        "Failovers of the nameservice mycluster of main fires within 1h: 5.",
        nameservice="mycluster",
    ),
    "YarnActiveResourceManagerMissing": missing(
        f"yarn_cluster{CLUSTER}",
        f"yarn_active_resourcemanager{CLUSTER}",
        1,
        "The cluster yarn of main fires has no active ResourceManager.",
        cluster="yarn",
    ),
    "YarnActiveResourceManagerChanging": changing(
        f"yarn_active_resourcemanager_since_timestamp_seconds{CLUSTER}",
        2,
        "Failovers of the cluster yarn of main fires within 1h: 5.",
        cluster="yarn",
    ),
    # Kafka
    "KafkaControllerMissing": missing(
        "kafka_brokers",
        'kafka_controller_info{owner="1"}',
        1,
        "No broker of main fires is the controller; brokers: 3.",
    ),
    "KafkaControllerChanging": changing(
        "kafka_controller_owner_changes_total", 3, "Changes of the controller of main fires within 1h: 5."
    ),
    "KafkaPartitionsOffline": above(
        'kafka_topic_least_leader{topic="orders"}',
        -1,
        1,
        5,
        "A partition of the topic orders of main fires has no leader.",
        topic="orders",
    ),
    "KafkaBrokersMissing": fewer("kafka_brokers", "Brokers of main fires that are left: 2; within 1h there were more."),
    # Patroni
    "PatroniLeaderMissing": missing(
        f"patroni_initialized{MAIN}",
        f"patroni_leader_info{of_one(scope='main', owner='pg-1')}",
        1,
        "The cluster main of main fires has no leader.",
        scope="main",
    ),
    "PatroniLeaderChanging": changing(
        f"patroni_leader_owner_changes_total{MAIN}",
        3,
        "Changes of the leader of the cluster main of main fires within 1h: 5.",
        scope="main",
    ),
    "PatroniMembersMissing": fewer(
        f"patroni_members{MAIN}",
        "Members of the cluster main of main fires that are left: 2; within 1h there were more.",
        scope="main",
    ),
    "PatroniMemberNotRunning": Story(
        "The member pg-2 of the cluster main of main fires has been start failed for more than 15m.",
        {f"patroni_member_info{of_one(**MEMBER, state='start failed')}": "1x*"},
        {f"patroni_member_info{of_one(**MEMBER, state='start failed')}": "1x14 stale"}
        | {f"patroni_member_info{of_one(**MEMBER, state='running')}": "_x15 1x*"},
        {f"patroni_member_info{of_one(**MEMBER, state='start failed')}": "1x25 stale"}
        | {f"patroni_member_info{of_one(**MEMBER, state='running')}": "_x26 1x*"},
        labels={**MEMBER, "state": "start failed"},
    ),
    # Pulsar
    "PulsarLeaderMissing": missing(
        "pulsar_brokers",
        'pulsar_leader_info{owner="http://pulsar-1.example:8080"}',
        2,
        "No broker of main fires balances the load; brokers: 3.",
    ),
    "PulsarLeaderChanging": changing(
        "pulsar_leader_owner_changes_total", 3, "Changes of the leader of main fires within 1h: 5."
    ),
    "PulsarBrokersMissing": fewer(
        "pulsar_brokers", "Brokers of main fires that are left: 2; within 1h there were more."
    ),
    # Solr
    "SolrShardWithoutLeader": missing(
        f"solr_shard_candidates{SHARD}",
        f"solr_shard_leader_info{of_one(collection='films', shard='shard1', owner='solr-1.example:8983_solr')}",
        2,
        "The shard shard1 of the collection films of main fires has no leader; candidates: 3.",
        collection="films",
        shard="shard1",
    ),
    "SolrOverseerMissing": missing(
        "solr_live_nodes",
        'solr_overseer_info{owner="a"}',
        2,
        "No node of main fires is the overseer; live nodes: 3.",
    ),
    "SolrOverseerQueueLong": above(
        "solr_overseer_queue", 1001, 1000, 10, "Changes that wait for the overseer of main fires: 1001."
    ),
    "SolrNodesMissing": fewer(
        "solr_live_nodes", "Live nodes of main fires that are left: 2; within 1h there were more."
    ),
    # Spark
    "SparkMasterMissing": missing(
        "spark_initialized", 'spark_master_info{owner="session 0x1000"}', 2, "No master of main fires leads."
    ),
    "SparkStandbyMissing": Story(
        "Only one master of main fires is left.",
        {"spark_master_candidates": "2x5 1x*"},
        {"spark_master_candidates": "2x5 1x13 2x*"},
        {"spark_master_candidates": "2x5 1x20 2x*"},
        23,
    ),
    "SparkWorkersMissing": fewer("spark_workers", "Workers of main fires that are left: 2; within 1h there were more."),
    # The example
    "SchedulerLeaderMissing": missing(
        "scheduler_candidates",
        'scheduler_info{owner="host-2"}',
        1,
        "No scheduler of main leads, although there are candidates: 3.",
    ),
    "SchedulerLeaderChanging": changing(
        "scheduler_owner_changes_total", 3, "Changes of the scheduler of main that leads, within 1h: 5."
    ),
    "LockHeldLong": Story(
        "The lock reindex of main has been held for 1h 20m 0s.",
        {'lock_owner_since_timestamp_seconds{lock="reindex"}': "0x*"},
        {'lock_owner_since_timestamp_seconds{lock="reindex"}': "0x60 3660x*"},
        {'lock_owner_since_timestamp_seconds{lock="reindex"}': "0x65 3900x*"},
        62,
        80,
        {"lock": "reindex"},
    ),
}
