"""Print the health of every exchange, and recommended actions."""

from neuroflux.exchanges.exchange_manager import ExchangeManager

manager = ExchangeManager()
manager.initialize_exchanges({"hyperliquid": {"testnet": True}, "binance": {"testnet": True}})

# Monitor exchange health
health = manager.monitor_exchange_health()

print(f"Overall health: {health['overall_health']}")

for exchange, status in health["exchange_status"].items():
    print(f"{exchange}: {status['status']} - Latency: {status['latency_ms']:.0f}ms")
for action in health["recommended_actions"]:
    print(f"{action['exchange']}: {action['action']}")
