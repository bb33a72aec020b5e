"""The frame in which every body sees the world."""

import numpy as np

from kltransfer.envs.spec import Floats


def egocentric(points: Floats, origin: Floats, forward: Floats) -> Floats:
    """Express world points in the frame at a body's root that turns with its heading only.

    points: [N, P, 3]; origin: [N, 3]; forward: [N, 2], the body's forward axis seen from above, of
    any length above 0. Returns [N, P, 3] in metres: x forward, y left, z up.

    Roll and pitch are left out, so that what a high level sees means the same for every body, also for
    those that sway (Ant, Quadruped).
    """
    length = np.sqrt(forward[:, 0] ** 2 + forward[:, 1] ** 2)
    cosine, sine = (forward / np.maximum(length, 1e-9)[:, None]).T[:, :, None]
    x, y, z = np.moveaxis(points - origin[:, None], 2, 0)
    return np.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=2)
