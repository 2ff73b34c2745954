"""The life of an order: its state, the table of transitions, and the events that others see."""
