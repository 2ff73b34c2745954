"""Which offsets may be committed, by the bookkeeping alone, without Kafka."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types.tuples import TP
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.kafka.decoder import Decoder
from neuroflux.runtime.settings import Settings
from streams.batches import Batch, BatchConsumer, packed
from streams.worker import Worker

PLACE, OTHER = TP("market.quotes", 2), TP("market.quotes", 3)


async def consumer() -> BatchConsumer:
    app = Worker(Settings(), None, Decoder(Settings(), None), "books").app  # type: ignore[arg-type]
    app.finalize()
    found: BatchConsumer = app.consumer
    app.flow_control.resume()
    return found


def fetched(*offsets: int) -> list[Any]:
    return [SimpleNamespace(offset=offset, timestamp=0, timestamp_type=0) for offset in offsets]


def delivered(books: BatchConsumer, first: int, last: int, *, agents: int = 1, generation: int | None = None) -> Any:
    """A batch of these offsets as Faust delivers it to this many agents."""
    known = books.app.consumer_generation_id if generation is None else generation
    return delivered_batches(books, packed({PLACE: fetched(first, last)}, known), agents)


def delivered_batches(books: BatchConsumer, batch: Batch, agents: int = 1) -> Any:
    message = books._to_message(TP(batch.topic, batch.partition), batch)
    message.incref(agents)
    return message


def committable(books: BatchConsumer) -> dict[TP, int]:
    return books._filter_committable_offsets(list(books._filter_tps_with_pending_acks()))


async def test_nothing_is_committed_before_it_is_processed() -> None:
    books = await consumer()
    batch = delivered(books, 0, 99)
    assert committable(books) == {}
    batch.ack(books)
    assert committable(books) == {PLACE: 100}
    assert committable(books) == {}


async def test_a_batch_is_done_when_every_agent_is() -> None:
    books = await consumer()
    batch = delivered(books, 0, 99, agents=2)
    batch.ack(books)
    assert committable(books) == {}
    batch.ack(books)
    assert committable(books) == {PLACE: 100}


async def test_a_later_batch_waits_for_an_earlier_one() -> None:
    books = await consumer()
    first, second, third = delivered(books, 0, 99), delivered(books, 100, 149), delivered(books, 150, 150)
    second.ack(books)
    assert committable(books) == {}
    first.ack(books)
    assert committable(books) == {PLACE: 150}
    third.ack(books)
    assert committable(books) == {PLACE: 151}


async def test_a_batch_holds_each_of_its_partitions() -> None:
    books = await consumer()
    first = delivered(books, 0, 99)
    both = delivered_batches(books, packed({PLACE: fetched(100, 149), OTHER: fetched(7)}, first.generation_id))
    last = delivered_batches(books, packed({OTHER: fetched(8, 9)}, first.generation_id))
    last.ack(books)
    assert committable(books) == {}
    both.ack(books)
    assert committable(books) == {OTHER: 10}
    first.ack(books)
    assert committable(books) == {PLACE: 150}


async def test_missing_offsets_do_not_delay_a_commit() -> None:
    """A compacted topic has holes, also before its first record."""
    books = await consumer()
    for batch in (delivered(books, 7, 20), delivered(books, 1_000, 1_000)):
        batch.ack(books)
    assert committable(books) == {PLACE: 1_001}


async def test_an_acknowledgement_after_a_rebalance_changes_nothing() -> None:
    books = await consumer()
    late = delivered(books, 100, 199)
    await books.on_partitions_revoked({PLACE})
    books.app.consumer_generation_id += 1
    again = delivered(books, 100, 199)
    late.ack(books)
    assert committable(books) == {}
    again.ack(books)
    assert committable(books) == {PLACE: 200}


async def test_a_batch_of_an_older_generation_is_not_counted_as_handed_out() -> None:
    """It was fetched before the rebalance and arrives after it; its records are not committed and are read again."""
    books = await consumer()
    books.app.consumer_generation_id = 5
    stale = delivered(books, 100, 199, generation=4)
    assert stale.generation_id == 4  # which is what makes the stream pass it over
    fresh = delivered(books, 50, 120)
    stale.ack(books)
    assert committable(books) == {}
    fresh.ack(books)
    assert committable(books) == {PLACE: 121}


async def test_what_is_read_again_is_not_dropped() -> None:
    """Faust drops a message before the last one that it read, even if that was not committed."""
    books = await consumer()
    books._read_offset[PLACE] = 199
    assert books._read_offset[PLACE] is None


sizes = st.lists(st.integers(1, 50), min_size=1, max_size=12)


@pytest.mark.parametrize("agents", [1, 2])
@given(sizes=sizes, data=st.data())
async def test_a_commit_never_passes_the_first_unprocessed_batch(
    agents: int, sizes: list[int], data: st.DataObject
) -> None:
    books = await consumer()
    batches, at = [], 0
    for size in sizes:
        batches.append(delivered(books, at, at + size - 1, agents=agents))
        at += size
    committed, done = 0, Counter[int]()
    for number in data.draw(st.permutations(list(range(len(batches))) * agents)):
        batches[number].ack(books)
        done[number] += 1
        committed = committable(books).get(PLACE, committed)
        undone = next((one for one in range(len(batches)) if done[one] < agents), len(batches))
        assert committed == sum(sizes[:undone])
