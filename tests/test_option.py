import pytest

from kltransfer.option import AutoOr, Between, OneOf


@pytest.mark.parametrize(("value", "allowed"), [("auto", True), (True, True), (False, True), (1, False)])
def test_words_and_truth_values_are_not_mistaken_for_numbers(value: object, allowed: bool) -> None:
    advice = OneOf("auto", True, False).advice(value)
    assert advice is None if allowed else advice == "choose one of auto, true, false"


@pytest.mark.parametrize(("value", "allowed"), [("auto", True), (3, True), (0, False), ("three", False)])
def test_a_number_may_be_left_to_the_machine(value: object, allowed: bool) -> None:
    advice = AutoOr(Between(1, 8)).advice(value)
    assert advice is None if allowed else advice == "it must be auto or lie between 1 and 8"
