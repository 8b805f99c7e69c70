"""A Compose file as a lab: what carries over becomes a lab file, what does not becomes notes. Pure but for `read`."""
