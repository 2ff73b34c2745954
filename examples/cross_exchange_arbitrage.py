"""Execute the best open arbitrage opportunity, if there is one."""

from neuroflux.exchanges.exchange_manager import ExchangeManager

manager = ExchangeManager()
manager.initialize_exchanges({"hyperliquid": {"testnet": True}, "binance": {"testnet": True}})

# Scan for arbitrage opportunities
opportunities = manager.scan_arbitrage_opportunities()

if opportunities:
    best_opp = opportunities[0]
    print(f"Arbitrage opportunity: {best_opp['symbol']}")
    print(f"Expected profit: ${best_opp['expected_profit']:.2f}")

    # Execute arbitrage
    result = manager.execute_cross_exchange_arbitrage(best_opp)
    print(f"Arbitrage executed - Profit: ${result['profit_realized']:.2f}")
