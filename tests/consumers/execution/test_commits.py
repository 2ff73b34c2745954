"""What is committed never passes a command that is not in the journal."""

from __future__ import annotations

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from consumers.execution.commits import Offsets

PARTITION = TopicPartition("orders.commands", 0)


@given(st.permutations(range(10, 18)), st.integers(0, 8))
def test_no_offset_beyond_an_unfinished_command_is_committed(ended: list[int], so_far: int) -> None:
    offsets = Offsets()
    for offset in range(10, 18):
        offsets.begun(PARTITION, offset)
    for offset in ended[:so_far]:
        offsets.done(PARTITION, offset)
    assert offsets.committable() == {PARTITION: min(ended[so_far:], default=18)}
    assert offsets.waiting == 8 - so_far


def test_a_partition_that_is_given_back_is_forgotten() -> None:
    offsets = Offsets()
    offsets.begun(PARTITION, 1)
    offsets.forget(PARTITION)
    offsets.done(PARTITION, 1)
    assert offsets.committable() == {}
