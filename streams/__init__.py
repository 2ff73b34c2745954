"""Stream processors from topics to topics, with Faust."""
