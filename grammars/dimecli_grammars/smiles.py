"""Molecules as SMILES."""

from __future__ import annotations

from dimecli.plugin import Language


class Smiles(Language):
    """Molecules in SMILES: the syntax of the OpenSMILES specification, without valences."""

    source = "pcfg"  # derivations at random are molecules of rare elements, wherever they are long
    problem = "penalized-logp"
