"""One file a kind; each has ``KINDS``."""
