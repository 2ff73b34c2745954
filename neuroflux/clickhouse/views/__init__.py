"""ClickHouse's views, as statements: the common queries, with each figure defined once."""

from neuroflux.clickhouse.views.arbitrage import ARBITRAGE_BY_HOUR
from neuroflux.clickhouse.views.equity import EQUITY
from neuroflux.clickhouse.views.order_costs import ORDER_COSTS
from neuroflux.clickhouse.views.uptime import EXCHANGE_UPTIME

VIEWS = (ORDER_COSTS, ARBITRAGE_BY_HOUR, EXCHANGE_UPTIME, EQUITY)
"""In the order of their creation."""
