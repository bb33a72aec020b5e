"""Off-policy targets of action values (Munos et al. 2016; eq. 7 of the paper)."""

import torch
from torch import Tensor


def retrace(
    q: Tensor, next_value: Tensor, reward: Tensor, discount: Tensor, trace: Tensor, valid: Tensor
) -> Tensor:
    """Return the Retrace targets of K transitions.

    With `delta_s = r_s + d_s V_{s+1} - Q_s`, the target is
    `Q_t + sum_{s >= t} (prod_{i=t}^{s-1} d_i) (prod_{i=t+1}^{s} c_i) delta_s`, computed backwards as
    `A_s = delta_s + d_s c_{s+1} A_{s+1}`. Eq. 7 prints the second product from s to t; it starts after t,
    as in the original, so that a target is never damped by its own trace.

    Args, all `[K, B]`:
        q: Q(a_s, z_s, x_s).
        next_value: V_{s+1}, net of the KL of step s+1.
        reward: r_s, received after a_s.
        discount: gamma times the environment's discount, 0 where the episode terminated.
        trace: c_s, of which the first is unused.
        valid: 1 for real transitions, 0 from the end of one episode to the start of the next; these get Q
            itself and cut the traces of their predecessors.

    Returns:
        `[K, B]`; the caller decides what is a constant.
    """
    delta = valid * (reward + discount * next_value - q)
    carry = discount * valid
    advantage = torch.zeros_like(delta[0])
    advantages = [advantage] * len(delta)
    for s in reversed(range(len(delta))):
        advantage = delta[s] + carry[s] * advantage
        advantages[s] = advantage
        advantage = trace[s] * advantage
    return q + torch.stack(advantages)
