"""The server's processes: this one, or several that share a port; and how they close their door."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess, multiprocess


def run_server(config: Config) -> None:
    """Serve until told to stop, in as many processes as the configuration says.

    Raises:
        SystemExit: the port is taken, or the application did not start.
    """
    if config.workers > 1:
        multiprocess.Process = _Process  # type: ignore[misc] # uvicorn asks nobody which class it is to start
        processes = _SharingProcesses(config, [config.bind_socket()])
        processes.run()
        if any(process.exitcode == STARTUP_FAILURE for process in processes.processes):
            sys.exit(STARTUP_FAILURE)
        return
    server = PoliteServer(config)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class PoliteServer(Server):
    """Answers also whoever stands at the door when it closes."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let in who has knocked, close, and finish what has begun.

        The kernel makes connections as long as anybody listens, and resets those that nobody has accepted when the
        last one closes: on a busy server, many. Between the last look and the closing there are microseconds in which
        one can still come; its client has to send again, as after any cut.
        """
        doors = [door.fileno() for server in self.servers for door in server.sockets]
        knocking = [connection for door in doors for connection in _accepted(door)]
        for server in self.servers:
            server.close()
        for connection in knocking:
            await asyncio.get_running_loop().connect_accepted_socket(self._make_protocol, connection)
        await super().shutdown(sockets)

    def _make_protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn makes it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _accepted(door: int) -> Iterator[socket.socket]:
    """Accept all who wait at a listening socket, which does not block."""
    with socket.socket(fileno=os.dup(door)) as listening, suppress(OSError):
        while True:
            yield listening.accept()[0]


class _Process(multiprocess.Process):
    """A process of several, with our own server."""

    @property
    def server(self) -> Server:
        """Make the server when it is first asked for, in the process that runs it."""
        if self._server is None:
            self._server = PoliteServer(self.config)
        return self._server

    def start(self) -> None:
        """Start it, and keep nothing of its end of the pipe: only then the pipe says when it has gone."""
        super().start()
        self.child_conn.close()

    def is_alive(self, timeout: float = 5) -> bool:
        """Ask it; one that has let go of its pipe is about to end, with the code that says why."""
        if super().is_alive(timeout):
            return True
        self.process.join(timeout=1)
        return False


class _SharingProcesses(Multiprocess):
    """Processes that accept from one socket, and their parent, which accepts nothing."""

    def terminate_all(self) -> None:
        """Tell them to stop, and leave the socket to them.

        The kernel takes connections as long as anybody holds it open: those made after the last process has closed
        it would wait for nobody until this one ends.
        """
        super().terminate_all()
        for listening in self.sockets:
            listening.close()
