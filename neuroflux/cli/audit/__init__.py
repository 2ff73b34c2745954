"""The audit: figures of the running pipeline, compared with the exchanges' own answers."""
