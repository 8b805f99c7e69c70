"""Every kind of check, one file a kind; `kinds` has them all. Nothing is imported here: a check script needs few of them."""
