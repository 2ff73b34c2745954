"""Downloads of the local stack, locked by checksum, into the per-user cache."""
