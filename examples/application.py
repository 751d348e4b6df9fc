"""An application that picks instances of services from ZooKeeper, and exports how fresh its knowledge is.

    python examples/application.py --zookeeper=127.0.0.1:2181 --path=/services --port=8000

It caches the tree below --path, which has a znode for each service and below that one for each instance. For each
service name on standard input it prints an instance. Prometheus scrapes http://127.0.0.1:8000/metrics, where
zookeeper_cache_verified_timestamp_seconds is the time up to which the cache is verified to hold every change.
If the application sets an OpenTelemetry TracerProvider, each call to ZooKeeper is also a span.
"""

from __future__ import annotations

import argparse
import random
import sys

from kazoo.client import KazooClient
from prometheus_client import Counter, start_http_server

from exporter import TreeCache, TreeEvent, instrument

ANSWERS = Counter("application_answers_total", "Answered requests, by whether an instance was known.", ["known"])


def main() -> None:
    """Answers requests until the end of standard input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zookeeper", default="127.0.0.1:2181", help="the ensemble, as a connection string of kazoo")
    parser.add_argument("--path", default="/services", help="the root of the tree")
    parser.add_argument("--port", type=int, default=8000, help="port of the metrics; 0 picks a free one")
    arguments = parser.parse_args()

    server, thread = start_http_server(arguments.port, addr="127.0.0.1")
    print(f"metrics at http://127.0.0.1:{server.server_port}/metrics", flush=True)

    # The metrics are in the application's registry, with the labels ensemble="default" and tree="services".
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
    """Reports when the tree is complete; runs on a thread of the cache."""
    if event.event_type == TreeEvent.INITIALIZED:
        print("the tree is complete", flush=True)


def answer(services: TreeCache, root: str, service: str) -> None:
    """Prints an instance of a service from the cache."""
    instances = services.get_children(f"{root}/{service}", default=frozenset())
    ANSWERS.labels("yes" if instances else "no").inc()
    print(f"{service}: {random.choice(sorted(instances)) if instances else 'no instance'}", flush=True)


if __name__ == "__main__":
    main()
