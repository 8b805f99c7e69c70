"""The board behind a real JupyterHub."""
