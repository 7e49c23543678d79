"""Penalized logP, against published values and RDKit's own parts."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from dimecli.errors import UserError
from dimecli.plugin import Outcome
from dimecli.registry import make
from dimecli_plugins.problems.penalized_logp import PenalizedLogP

LANGUAGE = make("grammar", "smiles")


def value(smiles: str, **options: Any) -> Any:
    pytest.importorskip("rdkit")
    return PenalizedLogP(**options).evaluate([smiles], LANGUAGE)[0]


@pytest.mark.parametrize(
    ("smiles", "published"),  # the three best of junction-tree VAE (Jin et al., 2018, figure 7)
    [
        ("ClC1=CC=C2C(C=C(C(C)=O)C(C(NC3=CC(NC(NC4=CC(C5=C(C)C=CC=C5)=CC=C4)=O)=CC=C3)=O)=C2)=C1", 5.30),
        ("ClC(C(Cl)=C1)=CC=C1NC2=CC=CC=C2C(NC(NC3=C(C(NC4=C(Cl)C=CC=C4)=S)C=CC=C3)=O)=O", 4.93),
        ("CC(NC1=CC(C2=CC=CC(NC(NC3=CC=CC(C4=CC(F)=CC=C4)=C3)=O)=C2)=CC=C1)=O", 4.49),
    ],
)
def test_published_values(smiles: str, published: float) -> None:
    assert value(smiles) == pytest.approx(published, abs=5e-3)


@pytest.mark.parametrize(("size", "extra"), [(6, 0), (7, 1), (12, 6)])
def test_large_rings_count_by_what_they_have_over_six_atoms(size: int, extra: int) -> None:
    smiles = f"C1{'C' * (size - 1)}1"
    raw, standard = value(smiles, raw=True), value(smiles)
    from rdkit.Chem import MolFromSmiles
    from rdkit.Chem.Crippen import MolLogP  # type: ignore[attr-defined]

    logp = MolLogP(MolFromSmiles(smiles))
    sa = logp - extra - raw
    assert 1 <= sa <= 10
    z = (logp - 2.4570953396190123) / 1.434324401111988 - (sa - 3.0525811293166134) / 0.8335207024513095
    assert standard == pytest.approx(z - (extra - 0.0485696876403053) / 0.2860212110245455)


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("", "has no atoms"),
        ("C1CC", "does not parse as SMILES"),
        ("not a molecule", "does not parse as SMILES"),
        ("C(C)(C)(C)(C)C", "valence: Explicit valence for atom # 0 C, 5, is greater than permitted"),
        ("c1cccc1", "aromaticity: Can't kekulize mol.  Unkekulized atoms: 0 1 2 3 4"),
        ("cc", "aromaticity: non-ring atom 0 marked aromatic"),
    ],
)
def test_what_is_no_molecule_says_why_and_nothing_else(smiles: str, reason: str, capfd: Any) -> None:
    assert value(smiles) == Outcome(None, reason)
    assert capfd.readouterr() == ("", "")


def test_without_rdkit_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs RDKit: pip install 'dimecli\[molecules\]'"):
        PenalizedLogP().check(LANGUAGE)
