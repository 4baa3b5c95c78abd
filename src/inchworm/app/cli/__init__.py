"""The command line: ``inchworm``. Thin: each command calls one use case and says what came of it."""

from inchworm.app.cli.root import main

__all__ = ["main"]
