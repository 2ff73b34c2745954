"""Reading a topic from a moment on."""

from __future__ import annotations

from aiokafka import TopicPartition

from neuroflux.domain import Microseconds
from neuroflux.kafka import Reader
from neuroflux.topics import Topic


async def seek(reader: Reader, topic: Topic, time: Microseconds) -> None:
    """Let ``reader`` go on at what was written since then, or at the end where nothing was."""
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    found = await reader.consumer.offsets_for_times(dict.fromkeys(places, max(time, 0) // 1000))
    ends = await reader.consumer.end_offsets(places)
    for place in places:
        reader.consumer.seek(place, ends[place] if found[place] is None else found[place].offset)
