"""Machines that Ansible prepares, and what is carried to those without a network."""
