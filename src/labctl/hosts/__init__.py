"""Machines that Ansible prepares: what is asked of it, what is seen of it, and what each run leaves on record."""
