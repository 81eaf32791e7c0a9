"""Peers: each is opened in a worker of its own, from the package that it comes from. It is imported on use."""
