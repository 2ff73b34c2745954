"""The dialects of Binance, spot and USDⓈ-M, in the simulator."""
