"""The kubernetes runtime: a namespace a session; labctl declares, the cluster schedules, restarts, limits and isolates."""
