"""Run ssd-edge from a clone without installing it: ``python cli.py run --camera 0``."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - where nothing is installed, nobody else has looked
    found = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.exit(f"ssd-edge needs Python 3.10 or newer, and this is {found}; on JetPack 5 see docs/jetson.md")

from ssd_edge.cli.main import main

if __name__ == "__main__":
    main()
