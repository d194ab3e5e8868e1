"""Stands in for otter in the sandbox: checks report nothing, nothing is exported, no answer depends on it."""

from typing import Any


class Notebook:
    """An otter notebook whose every method does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None
