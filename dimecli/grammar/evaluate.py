"""The values of sentences on points."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from dimecli.grammar.grammar import Grammar
from dimecli.grammar.programs import Meaning, programs
from dimecli.grammar.semantics import Semantics

_IDS = 2**18  # production ids made into programs at once
_VALUES = 2**21  # values of subexpressions held at once: memory that is used again, not asked for anew
_BLOCK = 2**15  # values computed at once, so that operands stay in the processor's cache
_ACCELERATOR = 2**7  # times as many of both where there is no such cache, and starting costs more


def evaluate(
    grammar: Grammar, semantics: Semantics, ids: Any, inputs: torch.Tensor, meaning: Meaning = "string"
) -> torch.Tensor:
    """`(B, n)` values of B sentences on n points, of the inputs' type and on their device.

    Arithmetic is that of IEEE 754: division by zero and overflow give infinities and NaN. A row that is
    no complete derivation is NaN. Each distinct subexpression is computed once for the rows that share it.

    Args:
        grammar: What the sentences are of.
        semantics: What its terminals mean.
        ids: `(B, T)` production ids, a numpy array or a tensor.
        inputs: `(v, n)` floats: the points' coordinates, one row for each of `semantics.variables`.
        meaning: Whether to read the sentence or the tree, as in `dimecli.grammar.programs`.

    Raises:
        ValueError: the inputs have another number of rows; or as `programs`.
    """
    if inputs.dim() != 2 or len(inputs) != len(semantics.variables):
        raise ValueError(f"inputs must be ({len(semantics.variables)}, n), one row a variable; got {(*inputs.shape,)}")
    ids = torch.as_tensor(ids, device=inputs.device)
    out = inputs.new_empty(len(ids), inputs.shape[1])
    if not out.numel():
        return out
    size = max(1, _IDS // ids.shape[1])
    with torch.no_grad():
        for rows, written in zip(ids.split(size), out.split(size), strict=True):
            _evaluate(programs(grammar, semantics, rows, meaning), semantics, inputs, written)
    return out


class _Step(NamedTuple):
    """One instruction for many operands: it gives the nodes numbered from `first`."""

    code: int
    first: int
    left: torch.Tensor
    right: torch.Tensor


def _evaluate(codes: torch.Tensor, semantics: Semantics, inputs: torch.Tensor, out: torch.Tensor) -> None:
    """Write the values of `(B, L)` programs to `out`, `(B, n)`."""
    arity = torch.tensor([instruction.arity for instruction in semantics.instructions], device=codes.device)
    steps, roots = _share(codes, arity)
    nodes = steps[-1].first + len(steps[-1].left)
    scale = 1 if inputs.device.type == "cpu" else _ACCELERATOR
    size = max(1, scale * _VALUES // nodes)
    for points, written in zip(inputs.split(size, dim=1), out.split(size, dim=1), strict=True):
        values = points.new_empty(nodes, points.shape[1])
        block = max(1, scale * _BLOCK // points.shape[1])
        for code, first, left, right in steps:
            instruction, target = semantics.instructions[code], values[first : first + len(left)]
            if instruction.arity == 0:
                target[:] = instruction.apply(points)
                continue
            for to, *operands in zip(target.split(block), left.split(block), right.split(block), strict=True):
                to[:] = instruction.apply(
                    *(values.index_select(0, operand) for operand in operands[: instruction.arity])
                )
        for to, root in zip(written.split(block), roots.split(block), strict=True):
            to[:] = values.index_select(0, root)


def _share(codes: torch.Tensor, arity: torch.Tensor) -> tuple[list[_Step], torch.Tensor]:
    """Steps that compute every distinct subexpression of the programs once, and the `(B,)` nodes of the programs.

    Subexpressions are numbered by height, so that operands come first, and within it by instruction.
    """
    left, right, height = _link(codes, arity)
    node = torch.zeros_like(codes)
    base = codes.numel() + 1
    steps: list[_Step] = []
    first = 0
    for level in range(int(height.amax()) + 1):
        row, column = (height == level).nonzero(as_tuple=True)
        key = codes[row, column] * base + node[row, left[row, column]]
        distinct, place = (key * base + node[row, right[row, column]]).unique(return_inverse=True)
        node[row, column] = first + place
        code, count = (distinct // base**2).unique_consecutive(return_counts=True)
        for one, operands in zip(code.tolist(), distinct.split(count.tolist()), strict=True):
            steps.append(_Step(one, first, operands // base % base, operands % base))
            first += len(operands)
    last = (codes >= 0).sum(1, keepdim=True) - 1
    return steps, node.gather(1, last)[:, 0]


def _link(codes: torch.Tensor, arity: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each place of `(B, L)` programs the places of its operands, and its height, -1 behind the program's end.

    A unary instruction has its operand twice; what has no operands has itself.
    """
    left, right, height = torch.zeros_like(codes), torch.zeros_like(codes), torch.full_like(codes, -1)
    stack = codes.new_zeros(len(codes), codes.shape[1] + 2)
    top = codes.new_zeros(len(codes), 1)  # the first free place
    for place in range(codes.shape[1]):
        at = slice(place, place + 1)
        code = codes[:, at]
        operands = arity[code.clamp_min(0)]
        top -= operands
        left[:, at] = torch.where(operands > 0, stack.gather(1, top), place)
        right[:, at] = torch.where(operands > 1, stack.gather(1, top + 1), left[:, at])
        below = torch.maximum(height.gather(1, left[:, at]), height.gather(1, right[:, at]))
        height[:, at] = torch.where(code >= 0, 1 + below, -1)
        stack.scatter_(1, top, torch.full_like(top, place))
        top += code >= 0
    return left, right, height
