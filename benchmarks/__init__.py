"""What it costs: each path beside its peers and its bare limit, in turns, in one run."""
