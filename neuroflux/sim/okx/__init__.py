"""The dialect of OKX in the simulator."""
