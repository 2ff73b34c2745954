"""The order state machine: the state, the table of transitions, and the events that are published."""
