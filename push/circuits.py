"""Which push hosts are left alone for a while, so that those who answer do not wait for those who do not; pure.

A circuit is closed while its host answers. Failures in a row open it: nothing is sent for a while. Then one message
goes out to see; if that fails too, the host is left alone for twice as long.
"""

from dataclasses import dataclass
from typing import Final

FAILURES: Final = 3
"""So many in a row open a circuit."""
FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 600.0

# How long the one that goes out to see may take before another one may.
_LOOK_S: Final = 60.0


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    paused_until: float = 0.0
    looking_until: float = 0.0


class Circuits:
    """One circuit for each host; times are seconds of any clock that goes on while the process is stopped."""

    def __init__(self) -> None:
        self._circuits: dict[str, _Circuit] = {}

    def ask(self, host: str, now: float) -> float:
        """Ask to send to a host; answers 0 where that may be done, else in how many seconds to ask again.

        Where a circuit has been open long enough, only the first who asks is let through.
        """
        circuit = self._circuits.get(host)
        if circuit is None:
            return 0.0
        waits_until = circuit.paused_until
        if circuit.failures >= FAILURES:
            waits_until = max(waits_until, circuit.looking_until)
        if now < waits_until:
            return waits_until - now
        if circuit.failures >= FAILURES:
            circuit.looking_until = now + _LOOK_S
        return 0.0

    def note_answer(self, host: str, now: float) -> None:
        """Note that a host answers, whatever it said: its circuit closes. A rest that it asked for goes on."""
        circuit = self._circuits.get(host)
        if circuit is None:
            return
        if circuit.failures < FAILURES and now < circuit.paused_until:
            circuit.failures = 0
        else:
            del self._circuits[host]

    def note_failure(self, host: str, now: float) -> None:
        """Note that a host did not answer, could not be reached, or is in trouble."""
        circuit = self._circuits.setdefault(host, _Circuit())
        if now < circuit.paused_until:
            return  # sent before the circuit opened
        circuit.failures += 1
        circuit.looking_until = 0.0
        if circuit.failures >= FAILURES:
            doublings = min(circuit.failures - FAILURES, 10)
            circuit.paused_until = now + min(FIRST_PAUSE_S * 2.0**doublings, LONGEST_PAUSE_S)

    def rest(self, host: str, until: float) -> None:
        """Leave a host alone that asked for it."""
        circuit = self._circuits.setdefault(host, _Circuit())
        circuit.paused_until = max(circuit.paused_until, until)
