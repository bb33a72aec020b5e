import numpy as np
import pytest

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.placement import draw_placement
from kltransfer.envs.spec import Arena, Task

N = 2000
TWO_BOXES = Task("two", targets=2, boxes=2, goals="box_to_target")


@pytest.mark.parametrize("task", [Task(), TWO_BOXES])
def test_everything_starts_in_its_own_cell_of_the_inner_room(task: Task) -> None:
    arena = Arena()
    start = draw_placement(task, arena, 0.2, np.random.default_rng(0), N)
    side = arena.room_cells(task)
    positions = np.concatenate([start.body[:, None], start.boxes, start.targets], axis=1)
    cells = np.floor(positions / arena.cell_size + side / 2).astype(int)
    assert cells.min() == 0
    assert cells.max() == side - 1
    flat = np.sort(cells[..., 0] + side * cells[..., 1], axis=1)
    assert (np.diff(flat, axis=1) > 0).all()


def test_body_and_targets_stand_at_cell_centres() -> None:
    start = draw_placement(Task(), Arena(), 0.2, np.random.default_rng(0), N)
    for positions in (start.body, start.targets):
        assert set(np.unique(positions)) == {-2.0, 0.0, 2.0}


def test_a_turned_box_fills_its_cell_but_does_not_stick_out() -> None:
    arena = Arena()
    start = draw_placement(TWO_BOXES, arena, 0.2, np.random.default_rng(0), N)
    signs = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)]) * arena.box_size / 2
    cosine, sine = np.cos(start.box_yaws)[..., None], np.sin(start.box_yaws)[..., None]
    x, y = signs.T
    corners = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=3) + start.boxes[:, :, None]
    centres = (np.floor(start.boxes / arena.cell_size) + 0.5) * arena.cell_size
    reach = np.abs(corners - centres[:, :, None]).max()
    assert 0.98 < reach / (arena.cell_size / 2) < 1.0


def test_cells_and_yaws_are_uniform() -> None:
    start = draw_placement(Task(), Arena(), 0.2, np.random.default_rng(0), 9 * N)
    _, counts = np.unique(start.body, axis=0, return_counts=True)
    assert len(counts) == 9
    assert abs(counts / N - 1).max() < 0.1
    assert abs(np.histogram(start.body_yaw, 8, (-np.pi, np.pi))[0] / (9 * N / 8) - 1).max() < 0.1


def test_the_room_is_three_cells_wide_or_as_many_as_there_are_objects() -> None:
    assert Arena().room_cells(Task()) == 3
    assert Arena().room_cells(TWO_BOXES) == 4
    assert Arena().half_width(TWO_BOXES) == 6.0


LEGS = Arena(cell_size=1.25, box_size=0.5, box_mass=0.3)


def test_no_box_starts_within_reach_of_the_body() -> None:
    reach = 1.1
    start = draw_placement(TWO_BOXES, LEGS, reach, np.random.default_rng(0), N)
    edge = np.linspace(-LEGS.box_size / 2, LEGS.box_size / 2, 41)
    points = np.stack(np.meshgrid(edge, edge), axis=-1).reshape(-1, 2)
    cosine, sine = np.cos(start.box_yaws)[..., None], np.sin(start.box_yaws)[..., None]
    x, y = points.T
    filled = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=3) + start.boxes[:, :, None]
    nearest = np.linalg.norm(filled - start.body[:, None, None], axis=-1).min(axis=(1, 2))
    assert reach - 1e-9 <= nearest.min() < reach + 0.02


def test_a_room_without_a_start_free_of_contact_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        draw_placement(TWO_BOXES, Arena(cell_size=0.8, box_size=0.4), 4.0, np.random.default_rng(0), 1)


@pytest.mark.parametrize("body", ["ball", "ant", "quadruped"])
@pytest.mark.parametrize("arena", [LEGS, Arena(cell_size=1.5, box_size=0.6)])
def test_nothing_touches_a_box_in_the_first_state(body: str, arena: Arena) -> None:
    environment = BatchEnvironment(body, TWO_BOXES, arena, num_simulations=64, seed=0)
    environment.reset()
    boxes = set(environment.scene.box_geoms.tolist())
    for i in range(64):
        _, data = environment.view(i)
        pairs = data.contact.geom[: data.ncon].tolist()
        assert not any(boxes & set(pair) and set(environment.scene.body_geoms) & set(pair) for pair in pairs)
