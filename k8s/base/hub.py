# More configuration of JupyterHub, read last. Another login than personal links goes here: see docs/portal.md.
import os

c = get_config()  # noqa: F821

# Prometheus reads the Hub's metrics with a token of its own, which can do nothing else.
c.JupyterHub.services.append({"name": "prometheus", "api_token": os.environ["PROMETHEUS_TOKEN"]})
c.JupyterHub.load_roles.append({"name": "prometheus", "services": ["prometheus"], "scopes": ["read:metrics"]})
