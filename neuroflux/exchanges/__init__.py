"""The exchanges, each a pure adapter in one file; and the façade over all of them."""
