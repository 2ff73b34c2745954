"""Shared by every process: settings, credentials, the clock, and running a stage."""
