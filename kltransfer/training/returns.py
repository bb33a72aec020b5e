"""Multi-step targets of action values: Retrace (eq. 7 of the paper) and Peng's Q(lambda).

Both take the same arguments and differ in how they correct the steps after the first. Retrace cuts a trace
where the policy would not have acted as the actor did. Peng's Q(lambda) mixes in the value instead.
"""

import torch
from torch import Tensor, nn


def chains(factor: Tensor) -> Tensor:
    """Return all products of consecutive factors; `x_t = factor_t x_{t-1} + b_t` is solved by `chains @ b`.

    Args:
        factor: `[T, B]`, of which the first is unused.

    Returns:
        `[T, T, B]`: entry (t, s) is `prod_{i=s+1}^{t} factor_i`, 1 on the diagonal, 0 above it.
    """
    steps = len(factor)
    below = torch.ones(steps, steps, dtype=torch.bool, device=factor.device).tril(-1).unsqueeze(-1)
    products = torch.where(below, factor.unsqueeze(1), 1.0).cumprod(0)
    return products.masked_fill(below.transpose(0, 1), 0.0)


def later(x: Tensor) -> Tensor:
    """Return `x_{t+1}` at t, `[T, B]`; zeros at the end."""
    return nn.functional.pad(x[1:], (0, 0, 0, 1))


def retrace(
    q: Tensor, next_value: Tensor, reward: Tensor, discount: Tensor, trace: Tensor, valid: Tensor
) -> Tensor:
    """Return the Retrace targets of K transitions (Munos et al. 2016).

    With `delta_s = r_s + d_s V_{s+1} - Q_s`, the target is
    `Q_t + sum_{s >= t} (prod_{i=t}^{s-1} d_i) (prod_{i=t+1}^{s} c_i) delta_s`, computed backwards as
    `A_s = delta_s + d_s c_{s+1} A_{s+1}`. Eq. 7 prints the second product from s to t; it starts after t,
    as in the original, so that a target is never damped by its own trace. All K steps at once: A is a sum of
    delta, weighted by `chains`.

    Args, all `[K, B]`:
        q: Q(a_s, z_s, x_s).
        next_value: V_{s+1}.
        reward: r_s, received after a_s, net of what the KL of step s+1 costs.
        discount: gamma times the environment's discount, 0 where the episode terminated.
        trace: c_s, of which the first is unused.
        valid: 1 for real transitions, 0 from the end of one episode to the start of the next. An invalid
            transition gets Q itself, and the transition before it bootstraps from the value.

    Returns:
        `[K, B]`; the caller decides what is a constant.
    """
    delta = valid * (reward + discount * next_value - q)
    carry = discount * valid * later(trace)  # of A_{s+1} in A_s
    return q + (chains(carry.roll(1, 0)) * delta.unsqueeze(1)).sum(0)


def peng(
    q: Tensor, next_value: Tensor, reward: Tensor, discount: Tensor, trace: Tensor, valid: Tensor
) -> Tensor:
    """Return the targets of Peng's Q(lambda) for K transitions (Peng and Williams 1994, Kozuno et al. 2021).

    `G_s = r_s + d_s [(1 - lambda_{s+1}) V_{s+1} + lambda_{s+1} G_{s+1}]`, with `G = V` at the window's end
    and where transition s + 1 is invalid. No ratio of likelihoods cuts a return: the targets are those of a
    mixture of the policy and the one that acted, and rewards travel back several steps per update even
    where the ratios of Retrace are close to 0.

    Args: as for `retrace`; `trace` is lambda_s. Returns `[K, B]`.
    """
    share = later(trace * valid)  # lambda_{s+1}, 0 where the value ends the return
    step = reward + discount * (1 - share) * next_value
    returns = (chains((discount * share).roll(1, 0)) * step.unsqueeze(1)).sum(0)
    return torch.where(valid > 0, returns, q)
