"""What every process needs: settings, credentials, the clock, and how a stage runs."""
