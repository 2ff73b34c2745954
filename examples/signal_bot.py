"""A bot that executes every opportunity above a minimum profit: ``python examples/signal_bot.py [SECONDS]``."""

import sys
import time

from neuroflux.exchanges.exchange_manager import ExchangeManager

MIN_PROFIT = 5.0
"""Minimum net profit of an opportunity, USD."""
MAX_LOSS = 100.0
"""Loss in USD after which the bot stops."""


def trade(manager: ExchangeManager, seconds: float) -> float:
    """Trade until the time is over or ``MAX_LOSS`` is reached; returns the profit in USD."""
    until, earned, seen = time.monotonic() + seconds, 0.0, set[str]()
    while time.monotonic() < until and earned > -MAX_LOSS:
        for opportunity in manager.scan_arbitrage_opportunities():
            if opportunity["expected_profit"] < MIN_PROFIT or opportunity["signal_id"] in seen:
                continue
            seen.add(opportunity["signal_id"])
            result = manager.execute_cross_exchange_arbitrage(opportunity)
            earned += result["profit_realized"]
            promised, details = opportunity["expected_profit"], result["execution_details"]
            print(
                f"{opportunity['symbol']} {result['status']}: {result['profit_realized']:.2f} of {promised:.2f} USD, "
                f"naked for {result['risk_assessment']['naked_ms']:.0f} ms {details['reason']}"
            )
            break  # the other opportunities are outdated now
        time.sleep(0.05)
    return earned


if __name__ == "__main__":
    with ExchangeManager() as exchange_manager:
        exchange_manager.initialize_exchanges({"hyperliquid": {"testnet": True}, "binance": {"testnet": True}})
        profit = trade(exchange_manager, float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
        print(f"earned {profit:.2f} USD")
