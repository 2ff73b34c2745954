"""The dialect of Hyperliquid in the simulator."""
