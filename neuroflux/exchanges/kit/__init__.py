"""What the adapters share: the interface that they implement, order books, and numbers as exchanges write them."""
