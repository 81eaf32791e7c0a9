"""A worker that measures nothing: ``python -m tests.benchmarking.echo_worker``."""

from __future__ import annotations

import json
import os
import sys
import time


def say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    task = None
    for line in sys.stdin:
        request = json.loads(line)
        if task is None:
            task = request
            refused = task["kind"] == "refuse"
            settings = task["settings"]
            answer = {"answer": {"model": task["model"], "images": task["images"], **settings}}
            say({"error": "it cannot be opened"} if refused else answer)
        elif request["do"] == "time":
            values = [float(request[name]) for name in ("first", "calls", "untimed")]
            say({"answer": values})
        elif request["do"] == "die":
            sys.stderr.write("out of luck\n")
            sys.exit(3)
        elif request["do"] == "fall silent":
            os.close(1)
        else:
            say({"error": "no such action"})
    if task is not None and task["kind"] == "stay":
        time.sleep(60)


if __name__ == "__main__":
    main()
