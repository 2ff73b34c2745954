"""Requests to exchanges over HTTP, their rate limits, and the rules of our own local servers."""
