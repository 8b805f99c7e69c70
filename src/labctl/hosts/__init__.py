"""Machines that Ansible prepares: what is asked of it and seen of it, and what is carried to those without a network."""
