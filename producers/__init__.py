"""Exchange to topics."""
