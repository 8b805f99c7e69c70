"""The many-user side: JupyterHub with a spawner over sessions (the portal), and the board as one of its services."""
