"""Run ssd-edge from a clone without installing it: ``python cli.py run --camera 0``."""

from ssd_edge.cli.main import main

if __name__ == "__main__":
    main()
