"""Measurements that take minutes to hours, each a command, each with its result stored as JSON. See README.md."""
