"""What `make golden` compares: every field but those of the machine, and weights by value."""

import pytest
import torch

from tests.golden import digest, first_difference, table_facts

METRICS = ["learner_steps,wall_seconds,q_mean\n", "100,1.5,0.25\n", "200,2.5,0.5\n"]


def test_a_changed_field_is_named_with_its_file_row_and_column() -> None:
    changed = [*METRICS[:2], "200,2.5,0.75\n"]
    difference = first_difference(
        dict(table_facts("metrics.csv", METRICS)), dict(table_facts("metrics.csv", changed))
    )
    assert difference == "metrics.csv, row 2, q_mean: '0.5' before, '0.75' now"


def test_clocks_are_not_compared() -> None:
    later = [METRICS[0], "100,9.5,0.25\n", "200,99.5,0.5\n"]
    assert dict(table_facts("metrics.csv", METRICS)) == dict(table_facts("metrics.csv", later))


@pytest.mark.parametrize("lines", [METRICS[:2], [*METRICS, "300,3.5,0.5\n"]])
def test_a_missing_or_an_additional_row_is_a_difference(lines: list[str]) -> None:
    base, ours = (dict(table_facts("metrics.csv", table)) for table in (METRICS, lines))
    assert "nothing" in str(first_difference(base, ours))


def test_a_run_that_fails_in_both_revisions_is_reported() -> None:
    facts = {"exit code and message": "1 no", "failure": "1 no"}
    assert first_difference(facts, facts) == "it should work and fails in both: 1 no"


def test_weights_are_told_apart_by_shape_and_bits_and_not_by_order() -> None:
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])
    assert digest([a, b]) == digest([b, a.clone()])
    assert digest([a, b]) != digest([a, b + 1e-6])
    assert digest([a, b]) != digest([a.reshape(2, 1), b])
    assert digest([a, b]) != digest([a])
