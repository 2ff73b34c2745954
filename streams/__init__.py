"""Topics to topics, with Faust."""
