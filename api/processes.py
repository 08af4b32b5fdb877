"""The server's processes: this one, or several that share a port."""

import sys

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess


def run_server(config: Config) -> None:
    """Serve until told to stop, in as many processes as the configuration says.

    Raises:
        SystemExit: the port is taken, or the application did not start.
    """
    if config.workers > 1:
        _SharingProcesses(config, [config.bind_socket()]).run()
        return
    server = Server(config)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


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
