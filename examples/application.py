"""An application that picks instances of services from ZooKeeper, and can show that it knows them all.

    python examples/application.py --zookeeper=127.0.0.1:2181 --path=/services --port=8000

It holds the tree below --path in memory, with a znode for each service and below that one for each instance. Each line
on standard input names a service and is answered with an instance. Prometheus scrapes http://127.0.0.1:8000/metrics,
where zookeeper_cache_verified_timestamp_seconds is the moment up to which it is proven to know every change.
If the application has an OpenTelemetry TracerProvider, each call to ZooKeeper is a span, too.
"""

from __future__ import annotations

import argparse
import random
import sys

from kazoo.client import KazooClient
from prometheus_client import Counter, start_http_server

from exporter import TreeCache, TreeEvent, instrument

ANSWERS = Counter(
    "application_answers_total", "Questions that were answered, by whether an instance was known.", ["known"]
)


def main() -> None:
    """Answers until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zookeeper", default="127.0.0.1:2181", help="the ensemble, as kazoo takes it")
    parser.add_argument("--path", default="/services", help="the root of the tree")
    parser.add_argument("--port", type=int, default=8000, help="where Prometheus scrapes; 0 picks a free one")
    arguments = parser.parse_args()

    server, thread = start_http_server(arguments.port, addr="127.0.0.1")
    print(f"metrics at http://127.0.0.1:{server.server_port}/metrics", flush=True)

    # The metrics go where the application's own are, under the labels ensemble="default" and tree="services".
    client = KazooClient(arguments.zookeeper)
    with instrument(client):
        client.start()
        services = TreeCache(client, arguments.path, name="services", create_root=False, freshness_interval=5.0)
        services.listen(report)
        with services:
            services.wait_initialized(timeout=30)
            for line in sys.stdin:
                answer(services, arguments.path, line.strip())
        client.stop()
        client.close()

    server.shutdown()
    thread.join()
    server.server_close()


def report(event: TreeEvent) -> None:
    """Tells of what changes; called on a thread of the cache."""
    if event.event_type == TreeEvent.INITIALIZED:
        print("the tree is complete", flush=True)


def answer(services: TreeCache, root: str, service: str) -> None:
    """Prints an instance of a service, from memory."""
    instances = services.get_children(f"{root}/{service}", default=frozenset())
    ANSWERS.labels("yes" if instances else "no").inc()
    print(f"{service}: {random.choice(sorted(instances)) if instances else 'no instance'}", flush=True)


if __name__ == "__main__":
    main()
