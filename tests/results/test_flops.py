"""FLOPs counted are those counted by hand."""

from __future__ import annotations

import pytest
import torch

from scalarfid.flops import Flops, count_flops

A, B = torch.randn(5, 7), torch.randn(7, 3)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: A @ B, Flops(2 * 5 * 7 * 3, 0)),
        (lambda: torch.randn(4, 5, 7) @ torch.randn(4, 7, 3), Flops(2 * 4 * 5 * 7 * 3, 4 * 5 * 7 + 4 * 7 * 3)),
        (lambda: torch.addmm(torch.zeros(3), A, B), Flops(2 * 5 * 7 * 3, 3)),
        (lambda: A + A, Flops(0, 35)),
        (A.sum, Flops(0, 1)),
        (lambda: A.sum(0), Flops(0, 7)),
        (lambda: torch.tanh(A) * 2, Flops(0, 70)),
        (A.T.reshape(7, 5)[0].detach, Flops(0, 0)),
        (lambda: torch.einsum("ij,jk->ik", A, B), Flops(210, 0)),
        (lambda: A.add_(0.0), Flops(0, 35)),
    ],
)
def test_one_operation(function, expected):
    assert count_flops(function) == expected


def test_the_backward_pass_counts_too():
    x = A.clone().requires_grad_()

    def energy_and_gradient():
        torch.autograd.grad((x @ B).square().sum(), x)

    # forward: product, square 15, sum 1; backward: ones 1, the square's derivative two to four of 15, product
    counted = count_flops(energy_and_gradient)
    assert counted.matmul == 2 * 210
    assert 15 + 1 + 15 <= counted.elementwise <= 15 + 1 + 4 * 15 + 1


def test_double_backward_counts_the_third_pass():
    x, weight = A.clone(), B.clone().requires_grad_()
    x.requires_grad_()

    def step():
        (force,) = torch.autograd.grad(torch.tanh(x @ weight).sum(), x, create_graph=True)
        force.square().sum().backward()

    # x W; force g Wᵀ; its derivative to g and to W; that of the first product to x and to W
    assert count_flops(step).matmul == 210 * (1 + 1 + 2 + 2)


def test_total_is_the_sum_and_counting_leaves_no_mode_behind():
    assert count_flops(lambda: (A @ B) + 1) == Flops(210, 15)
    assert count_flops(lambda: (A @ B) + 1).total == 225
    with pytest.raises(RuntimeError):
        count_flops(lambda: A @ A)
    assert count_flops(lambda: None) == Flops(0, 0)


def test_a_potential_costs_the_same_on_every_call_and_more_with_forces(potential, dataset):
    graph = dataset.train[0]
    bare = count_flops(lambda: potential(graph, forces=False))
    forces = count_flops(lambda: potential(graph))
    assert forces == count_flops(lambda: potential(graph))
    assert forces.matmul > 1.5 * bare.matmul > 0
    assert forces.elementwise > bare.elementwise > 0
