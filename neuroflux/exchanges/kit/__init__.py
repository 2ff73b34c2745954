"""What the adapters share: the interface that they implement, and what every exchange does alike.

``feed`` guards frames and answers, ``books``, ``keeper`` and ``sequences`` keep order books, ``order_client`` reads
refusals by table; ``rest``, ``signing``, ``shapes``, ``rows`` and ``numerals`` are for messages.
"""
