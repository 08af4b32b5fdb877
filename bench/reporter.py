"""Somebody who reports all the time, in a process of its own: nothing else done in it makes an answer look late.

The secret comes as the first line of the standard input; the end of that is the end of the reports. Prints a line when
it begins, and at its end the seconds that each answer took.
"""

import itertools
import json
import select
import sys
import time

import httpx

from bench.crash import SERVICE, places
from bench.phones import report_body
from db.base import new_id

_EVERY_S = 0.05


def main() -> None:
    """Report to the server that the command line names, from so many places on."""
    url, first = sys.argv[1], int(sys.argv[2])
    secret, seconds = sys.stdin.readline().strip(), []
    print("reporting", flush=True)
    with httpx.Client(headers={"Authorization": f"Bearer {secret}"}, timeout=60) as client:
        for place in itertools.islice(places(), first, None):
            if select.select([sys.stdin], [], [], _EVERY_S)[0]:
                break
            body = report_body(new_id(), SERVICE, place)
            began = time.perf_counter()
            client.post(f"{url}/v1/reports", json=body).raise_for_status()
            seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
