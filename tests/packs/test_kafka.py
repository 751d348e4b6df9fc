"""Kafka with ZooKeeper."""

from __future__ import annotations

from tests.packs.system import System


def broker(system: System, number: int) -> None:
    endpoint = f"PLAINTEXT://kafka-{number}.example:9092"
    data = {
        "listener_security_protocol_map": {"PLAINTEXT": "PLAINTEXT"},
        "endpoints": [endpoint],
        "jmx_port": -1,
        "features": {},
        "host": f"kafka-{number}.example",
        "timestamp": "1700000000000",
        "port": 9092,
        "version": 5,
    }
    system.write(f"/brokers/ids/{number}", data, owner=number)


def controller(system: System, number: int) -> None:
    data = {"version": 2, "brokerid": number, "timestamp": "1700000000000", "kraftControllerEpoch": -1}
    system.write("/controller", data, owner=number)


def state(leader: int, isr: list[int]) -> dict[str, object]:
    return {"controller_epoch": 1, "leader": leader, "version": 1, "leader_epoch": 0, "isr": isr}


def test_kafka() -> None:
    system = System("kafka")
    system.write("/brokers/seqid")
    system.write("/cluster/id", {"version": "1", "id": "8nGnLZvfRzqKHPHFmRYKUQ"})
    for number in (1, 2, 10):
        broker(system, number)
    controller(system, 1)
    system.write("/controller_epoch", "1")
    system.write("/admin/delete_topics/old")
    topics = {"orders": (state(1, [1, 2]), state(2, [2])), "events": (state(-1, [10]), state(10, [10]))}
    for topic, states in topics.items():
        assignment = {str(number): [1, 2] for number in range(len(states))}
        data = {"partitions": assignment, "topic_id": "x", "adding_replicas": {}, "removing_replicas": {}, "version": 3}
        system.write(f"/brokers/topics/{topic}", data)
        for number, one in enumerate(states):
            system.write(f"/brokers/topics/{topic}/partitions/{number}/state", one)
    assert system.said == {
        "brokers": {(): 3},
        "broker_registered_timestamp_seconds": {
            (number,): system.created(f"/brokers/ids/{number}") for number in ("1", "2", "10")
        },
        "controller_info": {("1",): 1},
        "controller_owner_changes_total": {(): 0},
        "controller_owner_since_timestamp_seconds": {(): system.created("/controller")},
        "controller_epoch": {(): 1},
        "topics": {(): 2},
        "partitions": {(): 4},
        "topic_least_leader": {("orders",): 1, ("events",): -1},
        "topics_to_delete": {(): 1},
    }


def test_another_controller() -> None:
    system = System("kafka")
    controller(system, 1)
    system.write("/controller_epoch", "1")
    system.delete("/controller")
    assert system.said["controller_info"] == {}
    controller(system, 2)
    system.set("/controller_epoch", b"2")
    assert system.said["controller_info"] == {("2",): 1}
    assert system.said["controller_owner_changes_total"] == {(): 1}
    assert system.said["controller_epoch"] == {(): 2}


def test_a_topic_that_is_being_deleted() -> None:
    system = System("kafka")
    system.write("/brokers/topics/orders/partitions/0/state", state(-2, [1]))
    assert system.said["topic_least_leader"] == {("orders",): -2}
    for path in ("/0/state", "/0", ""):
        system.delete(f"/brokers/topics/orders/partitions{path}")
    assert system.said["topic_least_leader"] == {}
    assert system.said["partitions"] == {(): 0}
