"""Breaking things while work is going on: processes are killed, PostgreSQL is stopped, and both come back."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.servers import Child
from db.cluster import Cluster, revive
from db.postgres import run_as_server

_START_AGAIN_S = 1.0
_AWAY_S = (0.2, 1.5)
_STARTS_WITHIN_S = 40.0


class Progress:
    """How much of the work is done; the breaking keeps step with it, however fast the machine is."""

    def __init__(self, total: int, tell: Callable[[int], None]) -> None:
        """Begin at nothing.

        Args:
            total: How much there is to do.
            tell: Called with how much is done, each time some is.
        """
        self.total = total
        self.done = 0
        self._tell = tell
        self._moved = asyncio.Event()
        self._is_over = False

    def add(self) -> None:
        """Count one more."""
        self.done += 1
        self._moved.set()
        self._tell(self.done)

    def end(self) -> None:
        """Nothing more will come."""
        self._is_over = True
        self._moved.set()

    async def reach(self, done: int) -> bool:
        """Wait until so much is done; False where it will never be."""
        while self.done < done and not self._is_over:
            self._moved.clear()
            await self._moved.wait()
        return self.done >= done


@dataclass(slots=True)
class Sabotage:
    """Who is broken when, and what came of it.

    Attributes:
        children: The processes, killed in turn: each before any a second time.
        cluster: The private cluster that they work on.
        data_dir: Its folder.
        rng: Draws whom and when.
        say: Told of each step.
        done: What was broken, as sentences.
        ended: Processes that ended though nobody had killed them, with their last words; started again, as systemd
            would.
    """

    children: Sequence[Child]
    cluster: Cluster
    data_dir: Path
    rng: random.Random
    say: Callable[[str], None]
    done: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    _back_at: float = -math.inf  # when PostgreSQL was there again; infinite while it is away
    _started_at: dict[Path, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    async def work(self, progress: Progress, *, kills: int, stops: int) -> None:
        """Kill and stop as often as asked for, at random moments of the work; all that is broken is mended at once."""
        turns = self._turns()
        deeds = ["stop"] * stops + ["kill"] * kills
        self.rng.shuffle(deeds)
        moments = sorted(self.rng.uniform(0.02, 0.95) for _ in deeds)
        for deed, moment in zip(deeds, moments, strict=True):
            if not await progress.reach(int(moment * progress.total)):
                return
            if deed == "stop":
                await self._stop_postgresql()
            else:
                self._kill(next(turns))

    @asynccontextmanager
    async def keeping_up(self) -> AsyncIterator[None]:
        """Start again what ends by itself in the block."""
        keeper = asyncio.create_task(self._keep_up())
        try:
            yield
        finally:
            keeper.cancel()

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(_START_AGAIN_S)
            for child in self.children:
                if child.has_ended:
                    self._note_end(child)
                    self._start_again(child)

    def _turns(self) -> Iterator[Child]:
        while True:
            yield from self.rng.sample(self.children, len(self.children))

    def _note_end(self, child: Child) -> None:
        """Note a process that ended; one that finds no database when it starts is to be started again."""
        started_at = self._started_at.get(child.log, -math.inf)
        is_new = time.monotonic() - started_at < _STARTS_WITHIN_S
        if is_new and started_at < self._back_at:
            self._note(f"{child.log.stem} found no database")
        else:
            self.ended.append(f"{child.log.stem} ended by itself: {child.last_words}")

    def _start_again(self, child: Child) -> None:
        child.start()
        self._started_at[child.log] = time.monotonic()

    def _kill(self, child: Child) -> None:
        if not child.has_ended:
            child.kill()
        self._start_again(child)
        self._note(f"killed {child.log.stem}")

    async def _stop_postgresql(self) -> None:
        """Stop the server as a crash does, without letting it finish anything; start it again a moment later."""
        stop: list[str | Path] = [
            self.cluster.bin_dir / "pg_ctl",
            "stop",
            "-D",
            self.cluster.folder,
            "-m",
            "immediate",
            "-w",
        ]
        self._back_at = math.inf
        code, output = await asyncio.to_thread(run_as_server, stop)
        assert code == 0, output
        away_s = self.rng.uniform(*_AWAY_S)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(revive, self.data_dir)
        self._back_at = time.monotonic()
        self._note(f"stopped PostgreSQL for {away_s:.1f} s")

    def _note(self, deed: str) -> None:
        after_s = time.monotonic() - self._began
        self.done.append(deed)
        self.say(f"{deed} after {after_s:.1f} s")
