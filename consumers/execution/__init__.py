"""The stage that trades."""
