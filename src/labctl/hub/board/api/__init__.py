"""The board for platforms: what it shows and does, as JSON over HTTP under tokens of the Hub."""
