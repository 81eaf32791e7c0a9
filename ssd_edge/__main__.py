"""``python -m ssd_edge`` is ``ssd-edge``."""

from ssd_edge.cli.main import main

main()
