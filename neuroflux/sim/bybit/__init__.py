"""The dialect of Bybit v5 in the simulator: spot and linear perpetuals of one unified account."""
