"""Phases: how a replica stands to its server, what moves it on, and the table of every transition that there is.

Everything that decides which phase follows which is in this file. A replica says what happened, as a `Step`; a step
that the table does not have in a phase raises, for then the replica has lost its way: its driver starts it anew.

    DETACHED  no connection; what is held stays, and nothing is sent.
    ASKING    a connection stands, and it is not settled yet how to keep up with its server.
    BARRIER   a barrier goes before the reads, so that a server that lags cannot bring back what was already gone.
    ARMING    watches come before reads: the watch on the root is being set.
    LIVE      watches are set. The tree is read as a whole, and then what watch events mark.
    REFUSED   the server lacks what the mode needs; nothing is sent to it any more.
"""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    """How a replica stands to its server."""

    DETACHED = auto()
    ASKING = auto()
    BARRIER = auto()
    ARMING = auto()
    LIVE = auto()
    REFUSED = auto()


class Step(Enum):
    """What moves a replica from phase to phase."""

    #: A connection stands, be it another one or the same reported twice.
    CONNECTED = auto()
    #: The connection is gone, or is not to be trusted, or the replica is to forget.
    DISCONNECTED = auto()
    #: What the server can do is judged otherwise than before.
    RECONSIDERED = auto()
    #: The server lacks what the mode needs.
    REFUSED = auto()
    #: It is settled how to keep up, and something is held that a lagging server must not take back.
    RESUMED = auto()
    #: Nothing keeps the watch from being set: from now on, or once more.
    READY = auto()
    #: The watch is set, or none is needed before the reads.
    ARMED = auto()
    #: What was read is in doubt; everything is read again after a pause.
    DOUBTED = auto()


#: Of each phase the steps that can happen in it, and the phase that each leads to.
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
    """Something happened to a replica that cannot happen in its phase."""

    def __init__(self, phase: Phase, step: Step) -> None:
        super().__init__(f"a replica that is {phase.name} cannot be {step.name}")


class Phases:
    """The phase that a replica is in, from `Phase.DETACHED` on."""

    def __init__(self) -> None:
        self.current = Phase.DETACHED

    def take(self, step: Step) -> None:
        """Goes on to the phase that a step leads to; raises `IllegalTransitionError` where there is none."""
        following = TRANSITIONS[self.current].get(step)
        if following is None:
            raise IllegalTransitionError(self.current, step)
        self.current = following
