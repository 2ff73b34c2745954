"""A separate database for each test: records of other tests would change the sums."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from neuroflux.clickhouse.client import ClickHouse
from tests.conftest import RunningStack
from tests.stored import own_database


@pytest.fixture
def database(stack: RunningStack) -> Iterator[ClickHouse]:
    with own_database(stack.settings) as own:
        opened = ClickHouse(own)
        yield opened
        opened.close()
