"""Grammars bundled with dimecli."""
