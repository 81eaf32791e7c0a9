"""Web pages of a run: who may see them, the server, and what it answers."""
