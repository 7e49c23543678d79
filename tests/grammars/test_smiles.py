"""SMILES of well-known molecules, and what is none."""

from __future__ import annotations

import re

import pytest
from nltk import CFG, ChartParser

from dimecli.registry import make

GRAMMAR = make("grammar", "smiles").compile()

MOLECULES = {
    "water": "O",
    "benzene": "c1ccccc1",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "naproxen": "COc1ccc2cc(ccc2c1)[C@H](C)C(=O)O",
    "nicotine": "CN1CCC[C@H]1c1cccnc1",
    "diazepam": "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21",
    "penicillin G": "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
    "morphine": "CN1CC[C@]23c4c5ccc(O)c4O[C@H]2[C@@H](O)C=C[C@H]3[C@H]1C5",
    "cholesterol": "C[C@H](CCCC(C)C)[C@H]1CC[C@@H]2[C@@]1(CC[C@H]3[C@H]2CC=C4[C@@]3(CC[C@@H](C4)O)C)C",
    "glucose": "OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O",
    "alanine": "N[C@@H](C)C(=O)O",
    "glycine, zwitterion": "[NH3+]CC(=O)[O-]",
    "tryptophan": "N[C@@H](Cc1c[nH]c2ccccc12)C(=O)O",
    "dopamine": "NCCc1ccc(O)c(O)c1",
    "serotonin": "NCCc1c[nH]c2ccc(O)cc12",
    "adrenaline": "CNC[C@H](O)c1ccc(O)c(O)c1",
    "lidocaine": "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "fluoxetine": "CNCCC(Oc1ccc(cc1)C(F)(F)F)c1ccccc1",
    "sildenafil": "CCCc1nn(C)c2c1nc([nH]c2=O)-c1cc(ccc1OCC)S(=O)(=O)N1CCN(C)CC1",
    "omeprazole": "COc1ccc2[nH]c(nc2c1)S(=O)Cc1ncc(C)c(OC)c1C",
    "ciprofloxacin": "O=C(O)c1cn(C2CC2)c2cc(N3CCNCC3)c(F)cc2c1=O",
    "chloroquine": "CCN(CC)CCCC(C)Nc1ccnc2cc(Cl)ccc12",
    "metformin": "CN(C)C(=N)NC(N)=N",
    "atorvastatin": "CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CC[C@@H](O)C[C@@H](O)CC(=O)O",
    "sulfamethoxazole": "Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1",
    "levothyroxine": "N[C@@H](Cc1cc(I)c(Oc2cc(I)c(O)c(I)c2)c(I)c1)C(=O)O",
    "bortezomib": "CC(C)C[C@H](NC(=O)[C@H](Cc1ccccc1)NC(=O)c1cnccn1)B(O)O",
    "bromazepam": "O=C1CN=C(c2ccccn2)c2cc(Br)ccc2N1",
    "tamoxifen": "CC/C(=C(\\c1ccccc1)c1ccc(OCCN(C)C)cc1)c1ccccc1",
    "trans-difluoroethene": "F/C=C/F",
    "oleic acid": "CCCCCCCC/C=C\\CCCCCCCC(=O)O",
    "nitrobenzene": "[O-][N+](=O)c1ccccc1",
    "acetonitrile": "CC#N",
    "table salt": "[Na+].[Cl-]",
    "carbonate of calcium": "[Ca+2].[O-]C([O-])=O",
    "cisplatin": "[NH3][Pt]([NH3])(Cl)Cl",
    "choline chloride": "C[N+](C)(C)CCO.[Cl-]",
    "ebselen": "O=c1c2ccccc2[se]n1-c1ccccc1",
    "fluorodeoxyglucose": "OC[C@H]1OC(O)[C@H]([18F])[C@@H](O)[C@@H]1O",
    "heavy methane": "[13CH4]",
    "chloroform-d": "[2H]C(Cl)(Cl)Cl",
    "proton": "[H+]",
    "twelfth ring bond": "C%12CCCCC%12",
    "explicit bonds": "C-C=1:C-C=1",
}
"""Written by hand as the specification's readers write them, aromatic or not, with charges, isotopes, chirality."""

NO_MOLECULES = [
    *("", "C(", "C)", "(C)C", "C()", "1CC", "C==C", "C=", "=C", "C.", ".C", "C..C", "C1=", "C(C)1", "C%1", "C%01"),
    *("[", "[]", "[C", "C]", "[C@@@]", "[CH+H]", "[+]", "[1234C]", "[012C]", "[CH5]", "[Xy]", "Na", "Q", "a", "H"),
]


@pytest.mark.parametrize("name", MOLECULES)
def test_well_known_molecules_are_sentences(name: str) -> None:
    ids = GRAMMAR.parse(MOLECULES[name])
    assert GRAMMAR.unparse(ids) == MOLECULES[name]


def test_taxol_needs_less_than_the_277_productions_of_grammarvae() -> None:
    taxol = (
        "CC1=C2[C@@]([C@]([C@H]([C@@H]3[C@]4([C@H](OC4)C[C@@H]([C@]3(C(=O)[C@@H]2OC(=O)C)C)O)OC(=O)C)OC(=O)c5ccccc5)"
        "(C[C@@H]1OC(=O)[C@H](O)[C@@H](NC(=O)c6ccccc6)c7ccccc7)O)(C)C"
    )
    grammar = make("grammar", "smiles", max_length=277).compile()
    assert grammar.unparse(grammar.parse(taxol)) == taxol


def test_what_breaks_the_syntax_is_none() -> None:
    _, reasons = GRAMMAR.parse_all(NO_MOLECULES)
    assert sorted(reasons) == list(range(len(NO_MOLECULES)))


def test_short_molecules_have_the_derivations_that_nltk_finds() -> None:
    rules = "\n".join(str(production) for production in GRAMMAR.productions)
    chart = ChartParser(CFG.fromstring(f"%start Smiles\n{rules}"))
    longest_first = sorted(GRAMMAR.terminals, key=len, reverse=True)
    lexer = re.compile("|".join(map(re.escape, longest_first)))
    for name in ("water", "acetonitrile", "trans-difluoroethene", "table salt", "heavy methane", "chloroform-d"):
        trees = list(chart.parse(lexer.findall(MOLECULES[name])))
        assert len(trees) == 1
        rule = {str(production).strip(): number for number, production in enumerate(GRAMMAR.productions)}
        expected = [rule[str(production).strip()] for production in trees[0].productions()]
        assert GRAMMAR.parse(MOLECULES[name])[: len(expected) + 1].tolist() == [*expected, GRAMMAR.pad]
