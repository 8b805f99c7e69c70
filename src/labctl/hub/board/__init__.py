"""The board: what a class is doing, as pages and an HTTP API behind the Hub's login."""
