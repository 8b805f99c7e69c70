"""The local runtime: a session as processes of the user, kept by supervisord."""
