"""The `dime` command. Importing it imports Typer and nothing else of weight."""

from dimecli.cli.app import main

__all__ = ["main"]
