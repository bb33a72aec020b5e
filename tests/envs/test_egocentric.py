import numpy as np

from kltransfer.envs.egocentric import egocentric


def test_a_point_ahead_lies_on_the_x_axis_whatever_the_heading() -> None:
    yaw = np.linspace(-np.pi, np.pi, 9)
    forward = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    origin = np.random.default_rng(0).normal(size=(9, 3))
    ahead = origin + 2.5 * np.concatenate([forward, np.zeros((9, 1))], axis=1)
    left = origin + 1.5 * np.stack([-np.sin(yaw), np.cos(yaw), np.ones(9)], axis=1)
    seen = egocentric(np.stack([ahead, left], axis=1), origin, 0.3 * forward)
    np.testing.assert_allclose(seen[:, 0], np.tile([2.5, 0, 0], (9, 1)), atol=1e-12)
    np.testing.assert_allclose(seen[:, 1], np.tile([0, 1.5, 1.5], (9, 1)), atol=1e-12)
