"""The solution's records, as a friend's session has them."""

import os

os.environ["LABCTL_SESSION"] = "a-friend-of-mine"

import solve

solve.main()
