"""The standing audit: what the running pipeline reports beside what the exchanges themselves answer."""
