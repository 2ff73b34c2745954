"""Send an order to the exchange with the best price."""

from neuroflux.exchanges.exchange_manager import ExchangeManager

# Initialize exchange manager
manager = ExchangeManager()
exchanges_config = {
    "hyperliquid": {"api_key": "your_key", "secret_key": "your_secret"},
    "binance": {"api_key": "your_key", "secret_key": "your_secret"},
}
manager.initialize_exchanges(exchanges_config)

# Route order to optimal exchange
order_request = {
    "symbol": "BTC/USD",
    "side": "buy",
    "quantity": 0.1,
    "type": "market",
    "requirements": {"max_slippage": 0.001, "max_fee": 0.001, "min_liquidity": 1000000},
}

result = manager.route_order(order_request, routing_strategy="optimal")
print(f"Order routed to {result['exchange']} - ID: {result['order_id']}")
