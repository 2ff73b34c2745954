"""Rebalance the portfolio to a target; transfers between exchanges are proposed, not made."""

from neuroflux.exchanges.exchange_manager import ExchangeManager

manager = ExchangeManager()
manager.initialize_exchanges({"hyperliquid": {"testnet": True}, "binance": {"testnet": True}})

# Define target allocation
target_allocation = {
    "BTC": 0.4,  # 40% BTC
    "ETH": 0.3,  # 30% ETH
    "SOL": 0.2,  # 20% SOL
    "USDC": 0.1,  # 10% USDC
}

# Rebalance portfolio
rebalance_result = manager.rebalance_portfolio(target_allocation, max_slippage=0.005)

if rebalance_result["status"] == "completed":
    print("Portfolio rebalanced successfully")
    print(f"Final allocation: {rebalance_result['final_allocation']}")
else:
    print(f"Rebalance {rebalance_result['status']}")
    for transfer in rebalance_result["plan"]["transfers"]:
        print(f"move {transfer['quantity']:.8g} {transfer['asset']} from {transfer['source']}: {transfer['why']}")
