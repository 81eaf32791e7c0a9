"""The one log channel of the package: the logger ``ssd_edge``, silent unless the program configures logging.

Workflows and rooms write to it; ``cli/console.py`` has the handler that shows its lines to a user.
"""

from __future__ import annotations

import logging

log = logging.getLogger("ssd_edge")
log.addHandler(logging.NullHandler())
