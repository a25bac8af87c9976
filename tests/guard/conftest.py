"""The command line, as the other commands' tests run it."""

from tests.cli.conftest import flames

__all__ = ["flames"]
