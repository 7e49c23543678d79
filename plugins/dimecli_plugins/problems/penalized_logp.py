"""Penalized logP of molecules."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dimecli.errors import UserError
from dimecli.plugin import Language, Outcome, Problem

if TYPE_CHECKING:
    from rdkit.Chem import Mol

# Mean and standard deviation over the 250,000 molecules of ZINC (Kusner et al., 2017; Jin et al., 2018, their code).
_LOGP = (2.4570953396190123, 1.434324401111988)
_SA = (3.0525811293166134, 0.8335207024513095)
_RING = (0.0485696876403053, 0.2860212110245455)
_KINDS = {"AtomValenceException": "valence", "KekulizeException": "aromaticity", "AtomKekulizeException": "aromaticity"}


class PenalizedLogP(Problem):
    """Octanol-water logP, less synthetic accessibility and large rings (GrammarVAE, Kusner et al., 2017).

    J(m) = z(logP(m)) - z(SA(m)) - z(ring(m)), larger is better: logP of Crippen, SA of Ertl and
    Schuffenhauer (1 easy to 10 hard), and how many atoms more than 6 the largest ring has, at least 0.
    Each is standardised by z with mean and standard deviation over ZINC-250k: these are the numbers that
    junction-tree VAE, GCPN, weighted retraining and LOL-BO report. Rings are the smallest ones (SSSR);
    the published code takes a cycle basis, which may have larger ones in fused systems.

    RDKit computes it and says which SMILES are molecules: `pip install 'dimecli[molecules]'`.
    """

    raw: bool = Field(False, description="logP - SA - ring as they are, without the statistics of ZINC-250k.")

    direction = "max"
    value_name = "penalized logP"

    def check(self, language: Language) -> None:
        """Nothing, where RDKit is installed; that the sentences are SMILES is taken on trust.

        Raises:
            UserError: it is not; says how to install it.
        """
        if importlib.util.find_spec("rdkit") is None:
            raise UserError("problem 'penalized-logp' needs RDKit: pip install 'dimecli[molecules]'")

    def evaluate(self, sentences: Sequence[str], language: Language) -> list[Outcome | float]:
        """The value of each molecule."""
        from rdkit.rdBase import BlockLogs

        with BlockLogs():
            return [self._value(sentence) for sentence in sentences]

    def _value(self, smiles: str) -> Outcome | float:
        from rdkit.Chem.rdMolDescriptors import CalcCrippenDescriptors

        molecule = _molecule(smiles)
        if isinstance(molecule, str):
            return Outcome(None, molecule)
        largest = max(map(len, molecule.GetRingInfo().AtomRings()), default=0)
        (logp, _), sa = CalcCrippenDescriptors(molecule), _accessibility().calculateScore(molecule)
        ring = max(0, largest - 6)
        if self.raw:
            return float(logp - sa - ring)
        return _z(logp, *_LOGP) - _z(sa, *_SA) - _z(ring, *_RING)


def _z(x: float, mean: float, std: float) -> float:
    return (x - mean) / std


def _molecule(smiles: str) -> Mol | str:
    """The molecule, or why there is none."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is not None:
        return molecule if molecule.GetNumAtoms() else "has no atoms"
    unchecked = Chem.MolFromSmiles(smiles, sanitize=False)
    if unchecked is None:
        return "does not parse as SMILES"
    for problem in Chem.DetectChemistryProblems(unchecked):
        return f"{_KINDS.get(problem.GetType(), 'chemistry')}: {problem.Message()}"
    return "is no molecule"


@cache
def _accessibility() -> Any:
    """The module of Ertl and Schuffenhauer's score, which RDKit ships beside its package."""
    from rdkit import RDConfig

    path = Path(RDConfig.RDContribDir, "SA_Score", "sascorer.py")
    spec = importlib.util.spec_from_file_location("sascorer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
