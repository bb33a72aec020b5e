import pytest

from kltransfer.envs.spec import ObservationLayout


def test_groups_tile_the_observation_in_order() -> None:
    layout = ObservationLayout(proprioception=3, boxes=24, task=5)
    assert layout.slice("proprioception") == slice(0, 3)
    assert layout.slice("boxes") == slice(3, 27)
    assert layout.slice("task") == slice(27, 32)
    assert layout.size == 32


def test_an_unknown_group_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown observation group 'smell'"):
        ObservationLayout(1, 2, 3).slice("smell")
