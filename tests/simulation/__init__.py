"""Deterministic simulation: a replica at a model server, under schedules drawn from seeds.

A seed gives a plan (`plan`), a plan is carried out step by step (`schedule`) on a replica and a model of a server and
session (`harness`, `server`, `znodes`), and every event is judged as it comes (`eventlog`). At rest the replica must
equal the server, whole records with data and stat, and nothing may be left over. What fails is made small (`shrink`);
`mutations` breaks each rule of the replica to prove that all of that would be seen.

Whenever a proof of freshness succeeds, each path must be in a state that it had at the moment proven or later, and no
audit may find anything. Both are left out once something happened that no watch tells of, and proofs once answers
overtook one another.

    python -m tests.simulation 4711                          # carries out one seed, and makes it small if it fails
    python -m tests.simulation --schedules 1000000 --jobs 2

What no watch tells of cannot be known. `ModelServer.untold` notes when such a thing happened since the connection's
first read; the replica is then compared only after a reconnect:

- a change of an ACL, and any change of an unreadable znode where the server keeps its events to itself;
- in the classic mode, the deletion and creation of an unreadable root, which no watch can be set on;
- an event that got lost in the classic mode or of a shard, since with it goes the watch.

After events of a recursive watch got lost (`ModelServer.lost`) everything else is compared, but for the stat of
parents. Two more states cannot be told apart and are not drawn: a restored ensemble that hands out the same zxids
again (a wiped one does, and its new times of creation tell), and a wiped one below `/`, which has no such time. Reads
are never answered from an older state than reads before them: the session drops a connection whose answers are out of
order. Late answers are drawn only where that matters to nothing but the order of versions: outside of syncs, and about
znodes that were not deleted meanwhile.
"""
