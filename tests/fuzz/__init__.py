"""Structure-aware fuzzing of every file that a command reads; ``python -m tests.fuzz --help``."""
