"""Images in, the range of every tensor out: what INT8 needs to know. Never imports torch."""
