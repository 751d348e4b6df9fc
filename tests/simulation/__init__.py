"""Deterministic simulation: a replica at a model server, under schedules drawn from seeds.

A seed gives a plan (`plan`), a plan is carried out step by step (`schedule`) on a replica and a model of a server and
session (`harness`, `server`, `znodes`), and every event is judged as it comes (`eventlog`). At rest the replica must
equal the server, whole records with data and stat, and nothing may be pending. A failing plan is made small (`shrink`);
`mutations` breaks each rule of the replica, to show that the simulation notices.

Whenever a freshness check succeeds, each path must be in a state that it had at the verified moment or later, and no
audit may find anything. Both checks are left out after a change that no watch reports, and the first also after answers
overtook one another.

    python -m tests.simulation 4711                          # carries out one seed, and shrinks it if it fails
    python -m tests.simulation --schedules 1000000 --jobs 2

A replica cannot notice a change that no watch reports. `ModelServer.unreported` notes such a change since the
connection's first read; the replica is then compared only after a reconnect:

- a change of an ACL, and any change of an unreadable znode if the server does not send its events;
- in the classic mode, the deletion and creation of an unreadable root, which no watch can be set on;
- an event that was lost in the classic mode or with a shard, since its watch is gone with it.

After events of a recursive watch were lost (`ModelServer.lost`), everything else is compared, except the stats of
parents. Two more cases cannot be distinguished and are not drawn: a restored ensemble that reuses the same zxids (a
wiped one does, but its creation times are new), and a wiped one below `/`, which has no creation time. A read is never
answered from an older state than earlier reads: the session drops a connection whose answers are out of order. Late
answers are drawn only where they affect nothing but the order of versions: outside of syncs, and for znodes that were
not deleted meanwhile.
"""
