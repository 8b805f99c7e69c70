"""Waits until the app that uvicorn has loaded anew has its model. Only the solution has it."""

import os
import sys
import time

import httpx

for _ in range(300):
    try:
        if httpx.get(f"{os.environ['LABCTL_URL_APP']}/health", timeout=300).json() == {"model": True}:
            sys.exit()
    except (httpx.HTTPError, ValueError):
        pass
    time.sleep(1)
sys.exit("the app has not come up within five minutes")
