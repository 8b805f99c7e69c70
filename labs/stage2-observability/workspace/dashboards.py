"""Step 5: the dashboard, generated with Grafana's own SDK. `python dashboards.py` writes grafana/dashboards/llm.json.

A dashboard that is clicked together is lost with its server, and nobody can review it. This one is code.
"""

from __future__ import annotations

from pathlib import Path

# from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
# from grafana_foundation_sdk.cog.encoder import JSONEncoder

OUT = Path("grafana/dashboards/llm.json")


def main() -> None:
    """Build the dashboard and write its JSON."""
    raise SystemExit("dashboards.py: step 5 is still to do")


if __name__ == "__main__":
    main()
