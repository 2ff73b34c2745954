"""An exchange without a dialect: matching, accounts, prices, market makers and faults."""
