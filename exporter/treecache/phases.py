"""Phases: the phases of a replica at its server, the steps between them, and the table of all transitions.

This file alone decides which phase follows which. A replica reports what happened as a `Step`; a step that the table
does not allow in a phase is a defect and raises: the replica's driver then restarts it.

    DETACHED  no connection; the znodes held stay, and nothing is sent.
    ASKING    a connection is established; the strategy waits for the answer to what the server supports.
    BARRIER   a barrier precedes the reads, so that a lagging server cannot bring back deleted znodes.
    ARMING    watches precede reads: the watch on the root is being set.
    LIVE      watches are set. The whole tree is read, then the znodes that watch events mark.
    REFUSED   the server does not support the mode; nothing is sent to it any more.
"""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    """The phase of a replica at its server."""

    DETACHED = auto()
    ASKING = auto()
    BARRIER = auto()
    ARMING = auto()
    LIVE = auto()
    REFUSED = auto()


class Step(Enum):
    """The steps that move a replica from phase to phase."""

    #: A connection is established: a new one, or the same reported twice.
    CONNECTED = auto()
    #: The connection is lost or not trusted, or the replica is reset.
    DISCONNECTED = auto()
    #: What the server supports is judged differently than before.
    RECONSIDERED = auto()
    #: The server does not support the mode.
    REFUSED = auto()
    #: The strategy is chosen, and znodes are held that a lagging server must not revert.
    RESUMED = auto()
    #: The watch can be set, for the first time or again.
    READY = auto()
    #: The watch is set, or none is needed before the reads.
    ARMED = auto()
    #: The tree is in doubt; everything is read again after a pause.
    DOUBTED = auto()


#: The steps that are possible in each phase, and the phase that each leads to.
TRANSITIONS: dict[Phase, dict[Step, Phase]] = {
    Phase.DETACHED: {
        Step.CONNECTED: Phase.ASKING,
        Step.DISCONNECTED: Phase.DETACHED,
    },
    Phase.ASKING: {
        Step.CONNECTED: Phase.ASKING,
        Step.DISCONNECTED: Phase.DETACHED,
        Step.REFUSED: Phase.REFUSED,
        Step.RESUMED: Phase.BARRIER,
        Step.READY: Phase.ARMING,
    },
    Phase.BARRIER: {
        Step.CONNECTED: Phase.ASKING,
        Step.DISCONNECTED: Phase.DETACHED,
        Step.RECONSIDERED: Phase.ASKING,
        Step.DOUBTED: Phase.BARRIER,
        Step.READY: Phase.ARMING,
    },
    Phase.ARMING: {
        Step.CONNECTED: Phase.ASKING,
        Step.DISCONNECTED: Phase.DETACHED,
        Step.RECONSIDERED: Phase.ASKING,
        Step.REFUSED: Phase.REFUSED,
        Step.DOUBTED: Phase.ARMING,
        Step.READY: Phase.ARMING,
        Step.ARMED: Phase.LIVE,
    },
    Phase.LIVE: {
        Step.CONNECTED: Phase.ASKING,
        Step.DISCONNECTED: Phase.DETACHED,
        Step.RECONSIDERED: Phase.ASKING,
        Step.REFUSED: Phase.REFUSED,
        Step.DOUBTED: Phase.ARMING,
        Step.READY: Phase.ARMING,
    },
    Phase.REFUSED: {
        Step.CONNECTED: Phase.ASKING,
        Step.DISCONNECTED: Phase.DETACHED,
        Step.RECONSIDERED: Phase.ASKING,
        Step.REFUSED: Phase.REFUSED,
    },
}


class IllegalTransitionError(RuntimeError):
    """A step happened that is not possible in the replica's phase."""

    def __init__(self, phase: Phase, step: Step) -> None:
        super().__init__(f"step {step.name} is not possible in phase {phase.name}")


class Phases:
    """The current phase of a replica, at first `Phase.DETACHED`."""

    def __init__(self) -> None:
        self.current = Phase.DETACHED

    def take(self, step: Step) -> None:
        """Moves to the phase that a step leads to; raises `IllegalTransitionError` if it is not possible."""
        following = TRANSITIONS[self.current].get(step)
        if following is None:
            raise IllegalTransitionError(self.current, step)
        self.current = following
